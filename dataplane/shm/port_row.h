// SPDX-License-Identifier: Apache-2.0
//
// The rows of the ports in the shared segment: what a port is, its link, and what its NIC counts.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace teal {

// DPDK's driver counts these for each port since teal-dataplane started. Workers count the packets that they
// receive (counters.h). Only these counters show a packet that was lost before a worker saw it.
#define TEAL_NIC_COUNTERS(X)                                         \
  X(rx_packets, "packets received")                                  \
  X(tx_packets, "packets sent")                                      \
  X(rx_bytes, "bytes received")                                      \
  X(tx_bytes, "bytes sent")                                          \
  X(rx_missed, "packets dropped because the receive queue was full") \
  X(rx_errors, "packets received with an error")                     \
  X(tx_errors, "packets that could not be sent")                     \
  X(rx_no_buffers, "packets not received because no packet buffer was free")

enum class NicCounter : uint8_t {
#define X(name, text) k_##name,
  TEAL_NIC_COUNTERS(X)
#undef X
      kCount
};
inline constexpr uint32_t kNicCounterCount = static_cast<uint32_t>(NicCounter::kCount);

inline constexpr std::array<std::string_view, kNicCounterCount> kNicCounterNames = {
#define X(name, text) #name,
    TEAL_NIC_COUNTERS(X)
#undef X
};

// The counters of packets that were lost.
inline constexpr std::array<NicCounter, 4> kNicLosses = {NicCounter::k_rx_missed, NicCounter::k_rx_no_buffers,
                                                         NicCounter::k_rx_errors, NicCounter::k_tx_errors};

constexpr std::string_view name_of(NicCounter counter) {
  return kNicCounterNames[static_cast<size_t>(counter)];
}

enum class LinkState : uint32_t { kUnknown, kDown, kUp };

// A port. Its id is the index of its row. A name keeps its id for the life of the segment, so stored hops
// stay valid after a restart.
struct PortRow {
  char name[32];       // dataplane: rw; "" marks a free row
  char interface[16];  // dataplane: rw; the kernel's interface name, "" if the kernel does not have the port
  uint32_t ifindex;    // dataplane: rw; 0 if the kernel does not have the port
  uint8_t mac[6];      // dataplane: rw
  uint8_t side;        // dataplane: rw; bit 0 client, bit 1 backend
  uint8_t present;     // dataplane: rw; the running dataplane has this port
  char driver[24];     // dataplane: rw; DPDK's name of the driver
  uint16_t queues;     // dataplane: rw
  uint8_t spreads;     // dataplane: rw; received packets are spread over the queues, or there is one queue
  uint8_t owned;       // dataplane: rw; DPDK owns the port, and `interface` is its TAP
  // These change while the dataplane runs. Each carries nothing but itself.
  std::atomic<LinkState> link;                       // dataplane: rw, control: ro
  std::atomic<uint32_t> speed_mbps;                  // dataplane: rw, control: ro; 0: unknown
  std::atomic<uint64_t> counters[kNicCounterCount];  // dataplane: rw, control: ro; by NicCounter
};

inline uint64_t counter_of(const PortRow& row, NicCounter counter) {
  return row.counters[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
}

}  // namespace teal
