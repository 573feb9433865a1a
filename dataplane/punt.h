// SPDX-License-Identifier: Apache-2.0
//
// Packets of no service are punted: they reach the kernel by a TAP interface. Which one depends on the driver
// of the port that they came in by:
//
//   AF_XDP     All these ports share teal0. The kernel keeps their interfaces and sends by them, so a punted
//              packet only has to reach the kernel's stack. It gets teal0's MAC as destination, and
//              reverse-path filtering is off on teal0. teal0 lives as long as the process. A frame for
//              another MAC than the port's stays as it is: to the kernel it is for another host.
//   AF_PACKET  These ports need no TAP: the kernel has its own copy of each packet.
//   others     DPDK owns the NIC, so each port has a persistent TAP of its own (tap.h), with the NIC's MAC.
//              Frames pass unchanged both ways: by send() to the kernel, by relay() from it.
//
// A TAP has a queue for each worker, as a port has. The kernel spreads what it sends over all queues of the
// TAP, so every worker relays its queue.
#pragma once

#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/pipeline/burst.h"
#include "dataplane/port.h"

namespace teal {

class Punt {
 public:
  struct OpenTap {
    uint16_t ethdev = 0;
    MacAddress mac;
    bool shared = false;       // teal0 of the AF_XDP ports
    uint16_t port_ethdev = 0;  // of the port of a TAP that is not shared
  };

  // For each port id an index into the TAPs, or one of the two values below.
  using TapOfPort = std::array<uint8_t, kMaxPorts>;
  static constexpr uint8_t kNoTap = 0xff;    // punted packets are dropped as punt_full
  static constexpr uint8_t kOwnCopy = 0xfe;  // the kernel has its own copy: punted packets are freed
  static constexpr TapOfPort no_taps() {
    TapOfPort none{};
    none.fill(kNoTap);
    return none;
  }

  // Opens the TAPs that `ports` need. If DPDK owns a port, the TAP's interface becomes the port's interface:
  // its routes and neighbours are the routes and neighbours of the port. `instance` names the run directory.
  static tl::expected<Punt, std::string> create(std::span<Port> ports, const std::string& instance,
                                                uint32_t workers, rte_mempool* pool);

  // For TAPs that are open and started, with a queue for each worker.
  Punt(std::vector<OpenTap> taps, const TapOfPort& tap_of_port)
      : taps_(std::move(taps)), tap_of_port_(tap_of_port) {}
  // Without TAPs.
  Punt() = default;

  // Sends mbufs that came in by `port_id` to the kernel, and owns them from here on. `port_mac` is the port's
  // own MAC, as MacAddress::word() gives it. Returns how many the kernel took; the others are freed.
  uint32_t send(uint16_t port_id, uint64_t port_mac, uint32_t worker, std::span<rte_mbuf*> mbufs) const;

  struct Relayed {
    uint32_t received = 0;
    uint32_t sent = 0;  // the others were freed: the port's queue was full
  };
  // Sends what the kernel sent by the worker's queue of each DPDK-owned port's TAP out of the worker's queue
  // of that port.
  Relayed relay(uint32_t worker) const;

 private:
  std::vector<OpenTap> taps_;
  TapOfPort tap_of_port_ = no_taps();
};

}  // namespace teal
