// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/ip_prefix.h"

#include <random>

#include <gtest/gtest.h>

#include "dataplane/shm/ruleset.h"

namespace teal {
namespace {

TEST(IpPrefix, ReadsWhatItWrites) {
  for (const char* text : {"198.18.1.0/24", "198.18.1.7/32", "0.0.0.0/0", "128.0.0.0/1", "fd18:1::/64",
                           "fd18::7/128", "::/0", "fd18:1:2:3:8000::/65"}) {
    const auto prefix = parse_prefix(text);
    ASSERT_TRUE(prefix) << prefix.error();
    EXPECT_EQ(to_string(*prefix), text);
  }
  EXPECT_EQ(to_string(*parse_prefix("198.18.1.7")), "198.18.1.7/32");
  EXPECT_EQ(to_string(*parse_prefix("fd18::7")), "fd18::7/128");
}

TEST(IpPrefix, AnErrorSaysWhatWasExpected) {
  constexpr struct {
    const char *text, *error;
  } kErrors[] = {
      {"198.18.1.7/24", "\"198.18.1.7/24\" has bits behind its prefix length, expected \"198.18.1.0/24\""},
      {"fd18:1::7/64", "\"fd18:1::7/64\" has bits behind its prefix length, expected \"fd18:1::/64\""},
      {"198.18.1.0/33", "\"198.18.1.0/33\" has no prefix length from 0 to 32"},
      {"fd18::/129", "\"fd18::/129\" has no prefix length from 0 to 128"},
      {"198.18.1.0/", "\"198.18.1.0/\" has no prefix length from 0 to 32"},
      {"198.18.1.0/+8", "\"198.18.1.0/+8\" has no prefix length from 0 to 32"},
      {"198.18.1.0/ 8", "\"198.18.1.0/ 8\" has no prefix length from 0 to 32"},
      {"client2", "\"client2\" is not an address or a network such as \"198.18.1.0/24\" or \"fd18:1::/64\""},
      {"", "\"\" is not an address or a network such as \"198.18.1.0/24\" or \"fd18:1::/64\""},
      {"198.18.1/24",
       "\"198.18.1/24\" is not an address or a network such as \"198.18.1.0/24\" or "
       "\"fd18:1::/64\""},
  };
  for (const auto& [text, error] : kErrors) {
    const auto prefix = parse_prefix(text);
    ASSERT_FALSE(prefix) << text;
    EXPECT_EQ(prefix.error(), error);
  }
}

TEST(IpPrefix, AListHasSpacesBetweenItsNetworks) {
  const std::vector<IpPrefix> list = {*parse_prefix("198.18.1.0/24"), *parse_prefix("fd18::7")};
  EXPECT_EQ(to_text(list), "198.18.1.0/24 fd18::7/128");
  EXPECT_EQ(*parse_prefixes(to_text(list)), list);
  EXPECT_TRUE(parse_prefixes("")->empty());
  EXPECT_FALSE(parse_prefixes("198.18.1.0/24  fd18::7/128"));
}

// The worker's test by words, against the test bit by bit.
TEST(IpPrefix, TheMaskSelectsTheSameClientsAsTheBits) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const bool v4 = i % 2 == 0;
    const IpAddress base = v4 ? IpAddress::from_words(0, IpAddress::kMappedPrefix | random() << 32)
                              : IpAddress::from_words(random(), random());
    const auto bits = static_cast<uint8_t>(v4 ? 96 + random() % 33 : random() % 129);
    IpPrefix prefix{base, bits};
    const IpAddress mask = prefix.mask();
    prefix.address = IpAddress::from_words(base.word(0) & mask.word(0), base.word(1) & mask.word(1));
    IpAddress client = base;
    const size_t bit = random() % 160;
    if (bit < 128) client.bytes[bit / 8] ^= static_cast<uint8_t>(0x80 >> bit % 8);
    const PreviewClients rule{prefix.address, mask};
    EXPECT_EQ(rule.has(client), same_prefix(prefix.address, client, prefix.bits))
        << to_string(prefix) << " " << client.to_string();
  }
}

}  // namespace
}  // namespace teal
