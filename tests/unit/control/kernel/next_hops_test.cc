// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/next_hops.h"

#include <cstring>

#include <gtest/gtest.h>

#include <memory>

#include "control/kernel/backend_words.h"

namespace teal {
namespace {

constexpr MacAddress kMac = {{0x02, 0, 0, 0, 0, 0x11}};

void set_port(PortRow& row, const char* name, const char* interface, uint32_t ifindex, bool present) {
  std::strcpy(row.name, name);
  std::strcpy(row.interface, interface);
  row.ifindex = ifindex;
  row.side = 2;
  row.present = present;
}

std::unique_ptr<SegmentHeader> header_with_ports() {
  auto header = std::make_unique<SegmentHeader>();
  set_port(header->ports[1], "back", "eth2", 7, true);
  set_port(header->ports[2], "old", "eth3", 8, false);
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

// Whichever of hop and health changes, the down bit says whether the backend is down.
TEST(BackendWords, JoinHopAndHealthInAnyOrder) {
  const auto header = std::make_unique<SegmentHeader>();
  BackendWords words(*header);
  const uint64_t hop = Hop{1, kMac}.word(), other_hop = Hop{2, kMac}.word();
  const auto& word = header->next_hops[7];
  words.set_hop(7, hop);
  EXPECT_EQ(word, hop);
  words.set_held_back(7, kDown);
  EXPECT_EQ(word, hop | Hop::kDownBit);
  EXPECT_EQ(header->held_back[7], kDown);
  EXPECT_EQ(words.hop(7), hop);
  words.set_hop(7, other_hop);
  EXPECT_EQ(word, other_hop | Hop::kDownBit) << "a rewritten hop keeps the bit";
  words.set_hop(7, Hop::kNone);
  EXPECT_EQ(word, Hop::kNone) << "readers compare the word with kNone";
  words.set_hop(7, hop);
  EXPECT_EQ(word, hop | Hop::kDownBit);
  words.set_held_back(7, 100);
  EXPECT_EQ(word, hop) << "slow start is up";
  words.set_held_back(7, kTakesAll);
  EXPECT_EQ(header->held_back[7], 0);
  EXPECT_EQ(header->next_hops[8], Hop::kNone);
}

TEST(HopStates, SayWhyABackendGetsNoPackets) {
  const auto header = header_with_ports();
  const Clock::Time now;
  const IpAddress neighbour = *IpAddress::parse("198.18.2.11");
  const auto problem = [&](const std::optional<Route>& route) {
    return problem_text(hop_state(*header, route, now));
  };
  EXPECT_EQ(problem(Route{7, neighbour, kMac, 120}), "");
  EXPECT_EQ(problem(std::nullopt), "no route");
  EXPECT_EQ(problem(Route{7, neighbour, std::nullopt, 120}), "no answer from 198.18.2.11 on interface 7");
  EXPECT_EQ(problem(Route{9, neighbour, kMac, 120}), "the route leaves by interface 9, which is not a port");
  EXPECT_EQ(problem_text(std::nullopt), "");
}

TEST(HopStates, AreCertainAboutSilenceAfterTwoSecondsAndAboutPortsOfTheDataplaneThatRuns) {
  using std::chrono::milliseconds;
  constexpr uint32_t kPid = 77;
  const Clock::Time start{};
  HopStates states;
  EXPECT_FALSE(is_unreachable(states.of(3), start, kPid)) << "nobody has looked";
  states.set(3, {.problem = HopProblem::kNoAnswer, .since = start});
  states.set(3, {.problem = HopProblem::kNoAnswer, .since = start + milliseconds(1500)});
  EXPECT_FALSE(is_unreachable(states.of(3), start + milliseconds(1999), kPid));
  EXPECT_TRUE(is_unreachable(states.of(3), start + milliseconds(2000), kPid))
      << "counted from the first look";
  states.set(3, {.problem = HopProblem::kNone});
  EXPECT_FALSE(is_unreachable(states.of(3), start + milliseconds(2000), kPid));
  states.set(3, {.problem = HopProblem::kNoAnswer, .since = start + milliseconds(3000)});
  EXPECT_FALSE(is_unreachable(states.of(3), start + milliseconds(4000), kPid)) << "it answered in between";
  states.set(5, {.problem = HopProblem::kNoPort, .since = start, .dataplane_pid = kPid});
  EXPECT_TRUE(is_unreachable(states.of(5), start, kPid)) << "the dataplane has opened its ports";
  EXPECT_FALSE(is_unreachable(states.of(5), start, kPid + 1)) << "another one may open it";
  EXPECT_FALSE(is_unreachable(states.of(5), start, 0)) << "nobody knows which dataplane runs";
  states.set(4, {.problem = HopProblem::kNoRoute, .since = start});
  EXPECT_TRUE(is_unreachable(states.of(4), start, kPid)) << "the kernel has decided";
  states.forget(4);
  EXPECT_FALSE(is_unreachable(states.of(4), start, kPid));
}

}  // namespace
}  // namespace teal
