// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/packet/rewrite.h"

namespace teal {

inline constexpr uint32_t kMaxPorts = 16;

// The port by which a frame leaves and its destination MAC address. A hop fits one 64-bit word (port + 1 in
// the upper 16 bits, the MAC address in the lower 48), so that it is loaded and stored whole while workers
// forward. The word 0 means "none".
//
// The next hop of a backend that is down has kDownBit, too. No port has such a number, so the fast path
// leaves its packets to the slow path, which takes the bit away (pipeline/hops.h). Last hops never have the
// bit.
struct Hop {
  uint16_t port = 0;  // id
  MacAddress mac;

  static constexpr uint64_t kNone = 0;
  static constexpr uint64_t kDownBit = uint64_t{1} << 63;
  static constexpr uint64_t kMacMask = 0xffff'ffff'ffff;

  static uint64_t word_of(uint16_t port, uint64_t mac) { return (uint64_t{port} + 1) << 48 | mac; }
  static uint16_t port_of(uint64_t word) { return static_cast<uint16_t>((word >> 48) - 1); }
  uint64_t word() const { return word_of(port, mac.word()); }
  static Hop from_word(uint64_t word) {  // word is not kNone
    Hop hop;
    hop.port = port_of(word);
    std::memcpy(hop.mac.bytes, &word, 6);
    return hop;
  }
  friend bool operator==(const Hop&, const Hop&) = default;
};

}  // namespace teal
