// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/next_hops.h"

#include <gtest/gtest.h>

#include <memory>

namespace teal {
namespace {

constexpr MacAddress kMac = {{0x02, 0, 0, 0, 0, 0x11}};

std::unique_ptr<SegmentHeader> header_with_ports() {
  auto header = std::make_unique<SegmentHeader>();
  header->ports[1] = {.name = "back", .interface = "eth2", .ifindex = 7, .mac = {}, .side = 2, .present = 1};
  header->ports[2] = {.name = "old", .interface = "eth3", .ifindex = 8, .mac = {}, .side = 2, .present = 0};
  return header;
}

TEST(NextHops, NameThePortOfTheRoutesInterface) {
  const auto header = header_with_ports();
  const uint64_t word = hop_word(*header, Route{7, {}, kMac, 120});
  ASSERT_NE(word, Hop::kNone);
  EXPECT_EQ(Hop::from_word(word), (Hop{1, kMac}));
}

TEST(NextHops, AreNoneWithoutRouteNeighbourOrPort) {
  const auto header = header_with_ports();
  EXPECT_EQ(hop_word(*header, std::nullopt), Hop::kNone);
  EXPECT_EQ(hop_word(*header, Route{7, {}, std::nullopt, 120}), Hop::kNone)
      << "the neighbour is not resolved";
  EXPECT_EQ(hop_word(*header, Route{9, {}, kMac, 120}), Hop::kNone) << "the dataplane has no port there";
  EXPECT_EQ(hop_word(*header, Route{8, {}, kMac, 120}), Hop::kNone) << "a port of an earlier dataplane";
  EXPECT_EQ(hop_word(*header, Route{0, {}, kMac, 120}), Hop::kNone) << "free rows have ifindex 0";
}

}  // namespace
}  // namespace teal
