// SPDX-License-Identifier: Apache-2.0
//
// The last stage before dispatch. The fast path has translated its packets; this stage translates the others.
#pragma once

#include <array>

#include "dataplane/packet/rewrite.h"
#include "dataplane/pipeline/burst.h"
#include "dataplane/shm/hop.h"

namespace teal {

// The source MAC of each port's frames, as MacAddress::word() gives it, by the upper 16 bits of a Hop word. 0
// if no such port runs.
struct PortMacs {
  std::array<uint64_t, kMaxPorts + 1> macs{};

  void set(uint16_t port, const MacAddress& mac) { macs[Hop::word_of(port, 0) >> 48] = mac.word(); }
  // 0 for Hop::kNone, too.
  uint64_t of(uint64_t hop_word) const {
    const uint64_t row = hop_word >> 48;
    return row < macs.size() ? macs[row] : 0;
  }
};

// Rewrites each undecided packet for its hop: addresses and ports, checksums, TTL, Ethernet addresses. After
// this stage every packet has a verdict.
void translate(Burst& burst, const Rules& rules, const PortMacs& macs);

// For frames that Teal made itself: writes the Ethernet addresses of their hop alone.
void address(Burst& burst, const PortMacs& macs);

}  // namespace teal
