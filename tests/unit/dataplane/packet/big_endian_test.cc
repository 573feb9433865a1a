// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/big_endian.h"

#include <gtest/gtest.h>

#include <cstring>
#include <type_traits>

namespace teal {
namespace {

TEST(BigEndian, BytesLieInNetworkOrder) {
  const Be16 port = Be16::from_host(0x1234);
  const Be32 number = Be32::from_host(0x12345678);
  EXPECT_EQ(std::memcmp(&port, "\x12\x34", 2), 0);
  EXPECT_EQ(std::memcmp(&number, "\x12\x34\x56\x78", 4), 0);
}

TEST(BigEndian, GivesBackEveryHostValue) {
  for (uint32_t value = 0; value <= 0xffff; ++value) {
    EXPECT_EQ(Be16::from_host(static_cast<uint16_t>(value)).host(), value);
    EXPECT_EQ(Be32::from_host(value * 65537u).host(), value * 65537u);
  }
}

TEST(BigEndian, DoesNotConvertImplicitly) {
  static_assert(!std::is_convertible_v<Be16, uint16_t>);
  static_assert(!std::is_convertible_v<uint16_t, Be16>);
  static_assert(!std::is_convertible_v<Be32, uint32_t>);
  static_assert(!std::is_convertible_v<uint32_t, Be32>);
  static_assert(sizeof(Be16) == 2 && sizeof(Be32) == 4);
  static_assert(std::is_trivially_copyable_v<Be16> && std::is_trivially_copyable_v<Be32>);
}

TEST(BigEndian, EqualMeansSameValue) {
  EXPECT_EQ(Be16::from_host(80), Be16::from_host(80));
  EXPECT_NE(Be16::from_host(80), Be16::from_host(0x5000));  // 80 with its bytes swapped
  EXPECT_NE(Be32::from_host(1), Be32::from_host(2));
}

}  // namespace
}  // namespace teal
