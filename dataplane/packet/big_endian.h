// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

namespace teal {

// Be16 holds a 16-bit value in network order. It can be copied and compared; arithmetic needs host().
struct Be16 {
  uint16_t raw = 0;  // network order

  static constexpr Be16 from_host(uint16_t value) {
    return {std::endian::native == std::endian::little ? __builtin_bswap16(value) : value};
  }
  constexpr uint16_t host() const {
    return std::endian::native == std::endian::little ? __builtin_bswap16(raw) : raw;
  }
  friend constexpr bool operator==(Be16, Be16) = default;
};

// Be32 is the same for 32 bits.
struct Be32 {
  uint32_t raw = 0;  // network order

  static constexpr Be32 from_host(uint32_t value) {
    return {std::endian::native == std::endian::little ? __builtin_bswap32(value) : value};
  }
  constexpr uint32_t host() const {
    return std::endian::native == std::endian::little ? __builtin_bswap32(raw) : raw;
  }
  friend constexpr bool operator==(Be32, Be32) = default;
};

}  // namespace teal
