// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/checksum.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/support/plain_checksum.h"

namespace teal {
namespace {

using test::plain_checksum;

uint16_t swapped(uint16_t value) {
  return Be16{value}.host();
}

Socket socket_of(const char* text) {
  return parse_socket(text).value();
}

TEST(Checksum, MatchesTheExampleOfRfc1071) {
  const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};  // RFC 1071, 3
  EXPECT_EQ(swapped(fold(ones_complement_sum(bytes, sizeof(bytes)))), 0xddf2);
  EXPECT_EQ(plain_checksum(bytes), 0xffff - 0xddf2);
}

TEST(Checksum, AgreesWithThePlainVersionForEveryLength) {
  std::mt19937 random(1);
  for (size_t bytes = 0; bytes <= 300; ++bytes) {
    std::vector<uint8_t> data(bytes);  // of the exact length, for AddressSanitizer
    for (auto& byte : data) byte = static_cast<uint8_t>(random());
    const uint32_t sum = ones_complement_sum(data.data(), bytes);
    EXPECT_EQ(swapped(static_cast<uint16_t>(~fold(sum))), plain_checksum(data)) << bytes;
  }
}

TEST(Checksum, DoesNotOverflowOnTheLargestInput) {
  const std::vector<uint8_t> data(65536, 0xff);
  EXPECT_EQ(fold(ones_complement_sum(data.data(), data.size(), 0xffffffff)), 0xffff);
}

TEST(Checksum, SumCanContinueAtAnyWord) {
  std::mt19937 random(2);
  std::vector<uint8_t> data(1000);
  for (auto& byte : data) byte = static_cast<uint8_t>(random());
  const uint32_t whole = ones_complement_sum(data.data(), data.size());
  for (size_t cut = 0; cut <= data.size(); cut += 2) {  // at words
    const uint32_t first = ones_complement_sum(data.data(), cut);
    EXPECT_EQ(fold(ones_complement_sum(data.data() + cut, data.size() - cut, first)), fold(whole));
  }
}

TEST(Checksum, FoldKeepsTheValueModulo65535) {
  for (const uint32_t sum : {0u, 1u, 0xffffu, 0x10000u, 0x1ffffu, 0xffff0000u, 0xfffeffffu, 0xffffffffu}) {
    EXPECT_EQ(fold(sum) % 0xffff, sum % 0xffff);
    EXPECT_EQ(fold(sum) == 0, sum == 0);
  }
}

// RFC 1624, 4: equation 2 gives 0xffff here, which is wrong.
TEST(Checksum, MatchesTheExampleOfRfc1624) {
  const uint16_t delta = fold(static_cast<uint16_t>(~0x5555) + 0x3285u);
  EXPECT_EQ(updated_checksum(0xdd2f, delta), 0x0000);
}

TEST(Checksum, UpdateAgreesWithRecomputationForEveryOldChecksum) {
  // The changed word takes every value, so the checksum takes every value except 0xffff: the sum of non-zero
  // data is never 0.
  std::vector<uint8_t> data = {0x45, 0, 0, 0, 0x12, 0x34, 0xab, 0xcd};
  for (uint32_t word = 0; word <= 0xffff; ++word) {
    data[2] = static_cast<uint8_t>(word >> 8);
    data[3] = static_cast<uint8_t>(word);
    const uint16_t before = plain_checksum(data);
    std::vector<uint8_t> changed = data;
    changed[4] = 0xfe;
    changed[5] = 0xdc;
    const uint16_t delta = fold(static_cast<uint16_t>(~0x1234) + 0xfedcu);
    ASSERT_EQ(updated_checksum(before, delta), plain_checksum(changed)) << word;
  }
}

TEST(ChecksumDelta, ReversedRestoresEveryChecksumExceptTheSecondZero) {
  const auto delta = ChecksumDelta::between(socket_of("198.18.0.10:80"), socket_of("198.18.2.11:8080"));
  for (uint32_t checksum = 0; checksum < 0xffff; ++checksum) {
    const uint16_t there = updated_checksum(static_cast<uint16_t>(checksum), delta.transport);
    ASSERT_EQ(updated_checksum(there, delta.reversed().transport), checksum);
  }
  EXPECT_EQ(updated_checksum(updated_checksum(0xffff, delta.ip), delta.reversed().ip), 0);
}

TEST(ChecksumDelta, ReversedIsTheOtherDirection) {
  const Socket vip = socket_of("[fd18::10]:80"), backend = socket_of("[fd18:2::11]:8080");
  const auto there = ChecksumDelta::between(vip, backend).reversed();
  const auto back = ChecksumDelta::between(backend, vip);
  EXPECT_EQ(there.transport % 0xffff, back.transport % 0xffff);
}

TEST(ChecksumDelta, IsZeroForTheIpHeaderOfIpv6) {
  EXPECT_EQ(ChecksumDelta::between(socket_of("[fd18::10]:80"), socket_of("[fd18:2::11]:8080")).ip, 0);
}

TEST(ChecksumDelta, DoesNotApplyThePortToTheIpv4Header) {
  const auto same_port = ChecksumDelta::between(socket_of("198.18.0.10:80"), socket_of("198.18.2.11:80"));
  const auto other_port = ChecksumDelta::between(socket_of("198.18.0.10:80"), socket_of("198.18.2.11:8080"));
  EXPECT_EQ(same_port.ip, other_port.ip);
  EXPECT_EQ(same_port.ip, same_port.transport);
  EXPECT_NE(same_port.transport, other_port.transport);
}

TEST(ChecksumDelta, BetweenEqualSocketsChangesNothing) {
  for (const char* text : {"198.18.0.10:80", "[fd18::10]:80"}) {
    const auto delta = ChecksumDelta::between(socket_of(text), socket_of(text));
    for (uint32_t checksum = 0; checksum < 0xffff; ++checksum)
      ASSERT_EQ(updated_checksum(static_cast<uint16_t>(checksum), delta.transport), checksum);
  }
}

}  // namespace
}  // namespace teal
