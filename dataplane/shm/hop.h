// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/packet/rewrite.h"

namespace teal {

inline constexpr uint32_t kMaxPorts = 16;

// Where a frame goes: out of which port, to which MAC. One 64-bit word (port + 1 in the upper 16 bits, the
// MAC in the lower 48), so that it is read and written whole while workers forward; 0 is "none".
struct Hop {
  uint16_t port = 0;  // id
  MacAddress mac;

  static constexpr uint64_t kNone = 0;

  uint64_t word() const { return (static_cast<uint64_t>(port + 1) << 48) | mac.word(); }
  static Hop from_word(uint64_t word) {  // word is not kNone
    Hop hop;
    hop.port = static_cast<uint16_t>((word >> 48) - 1);
    std::memcpy(hop.mac.bytes, &word, 6);
    return hop;
  }
  friend bool operator==(const Hop&, const Hop&) = default;
};

}  // namespace teal
