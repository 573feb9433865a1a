// SPDX-License-Identifier: Apache-2.0
//
// The way to the kernel for what belongs to no service: TAP ports.
//
//   AF_XDP ports    share teal0. The kernel keeps their interfaces, so a punted packet only has to reach its
//   stack: it gets teal0's MAC
//                   as destination, and reverse-path filtering is off there. What the kernel sends goes by
//                   its own interfaces.
//   AF_PACKET ports have none: the kernel has a copy of each packet already.
//   other ports     are the kernel's only through their TAP: it carries the NIC's MAC, frames pass unchanged
//   both ways (relay()).
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
  struct Tap {
    uint16_t ethdev = 0;
    MacAddress mac;
    bool shared = false;  // teal0 of the AF_XDP ports
    PortQueue relay_to;   // where not shared
  };

  // By port id: an index into the TAPs, or one of these.
  using TapOfPort = std::array<uint8_t, kMaxPorts>;
  static constexpr uint8_t kNoTap = 0xff;    // a punt is dropped as punt_full
  static constexpr uint8_t kOwnCopy = 0xfe;  // the kernel has a copy of each packet: a punt is a free
  static constexpr TapOfPort no_taps() {
    TapOfPort none{};
    none.fill(kNoTap);
    return none;
  }

  // Opens the TAPs that `ports` need. A port that the kernel knows by its TAP alone gets the TAP's interface
  // as its own: routes and neighbours there are those of the port.
  static tl::expected<Punt, std::string> create(std::span<Port> ports, uint32_t workers, rte_mempool* pool);

  // The TAPs are open and started, with a queue per worker.
  Punt(std::vector<Tap> taps, const TapOfPort& tap_of_port)
      : taps_(std::move(taps)), tap_of_port_(tap_of_port) {}
  // Without TAPs.
  Punt() = default;

  // Takes the mbufs, which came in by `port_id`. Returns how many the kernel took; the others are freed.
  uint32_t send(uint16_t port_id, uint32_t worker, std::span<rte_mbuf*> mbufs) const;

  struct Relayed {
    uint32_t received = 0;
    uint32_t sent = 0;  // the others were freed: the port took no more
  };
  // What the kernel sent out by the TAPs of DPDK-owned ports goes out of these. Called by worker 0 alone.
  Relayed relay() const;

 private:
  static tl::expected<Tap, std::string> open_tap(uint32_t number, const MacAddress* mac, uint32_t workers,
                                                 rte_mempool* pool);

  std::vector<Tap> taps_;
  TapOfPort tap_of_port_ = no_taps();
};

}  // namespace teal
