// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "dataplane/packet/rewrite.h"
#include "dataplane/pipeline/burst.h"
#include "dataplane/shm/hop.h"

namespace teal {

// The MAC that a port's frames come from, as load_mac() gives it, by the upper 16 bits of a Hop word. 0 where
// no such port runs.
struct PortMacs {
  std::array<uint64_t, kMaxPorts + 1> macs{};

  void set(uint16_t port, const MacAddress& mac) { macs[Hop::word_of(port, 0) >> 48] = mac.word(); }
  // 0 for Hop::kNone, too.
  uint64_t of(uint64_t hop_word) const {
    const uint64_t row = hop_word >> 48;
    return row < macs.size() ? macs[row] : 0;
  }
};

// Rewrites each undecided packet for its next hop: addresses and ports, checksums, TTL, Ethernet addresses.
// After it every packet has a verdict.
void translate(Burst& burst, const Rules& rules, const PortMacs& macs);

// The same for frames of our own: they want the Ethernet addresses of their hop only.
void address(Burst& burst, const PortMacs& macs);

}  // namespace teal
