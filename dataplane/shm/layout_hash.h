// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace teal {

// FNV-1a over the bytes of the values: what two builds must agree on.
class LayoutHash {
 public:
  constexpr explicit LayoutHash(uint64_t meaning) { add(meaning); }
  constexpr LayoutHash& add(uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) value_ = (value_ ^ ((value >> (8 * byte)) & 0xff)) * 0x100000001b3;
    return *this;
  }
  constexpr LayoutHash& add(std::string_view text) {
    for (char c : text) add(static_cast<uint8_t>(c));
    return add(text.size());
  }
  constexpr uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace teal
