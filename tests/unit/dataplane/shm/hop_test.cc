// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/hop.h"

#include <cstdlib>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/shm/flows.h"

namespace teal {
namespace {

Hop hop_of(uint32_t number) {
  Hop hop;
  hop.port = static_cast<uint16_t>(number % kMaxPorts);
  hop.mac.bytes[0] = 2;
  for (int i = 0; i < 4; ++i) hop.mac.bytes[2 + i] = static_cast<uint8_t>(number >> (8 * i));
  return hop;
}

const IpAddress kClient = *IpAddress::parse("198.18.1.101");

TEST(Hop, WordKeepsPortAndMacAndIsNeverNone) {
  for (uint32_t number : {0u, 1u, 15u, 0x12345678u}) {
    EXPECT_EQ(Hop::from_word(hop_of(number).word()), hop_of(number));
    EXPECT_NE(hop_of(number).word(), Hop::kNone);
  }
  EXPECT_NE(Hop{}.word(), Hop::kNone);  // port 0, MAC of zeroes
}

TEST(LastHopId, SameHopGetsTheSameId) {
  const auto flows = std::make_unique<FlowsHeader>();
  std::set<uint16_t> ids;
  for (uint32_t number = 0; number < 1000; ++number) {
    const auto id = last_hop_id(*flows, hop_of(number), kClient);
    ASSERT_TRUE(id);
    EXPECT_LT(*id, kMaxLastHops);
    ids.insert(*id);
    EXPECT_EQ(flows->last_hops[*id].load(), hop_of(number).word());
  }
  EXPECT_EQ(ids.size(), 1000u);
  for (uint32_t number = 0; number < 1000; ++number)
    EXPECT_TRUE(ids.contains(*last_hop_id(*flows, hop_of(number), kClient)));
}

TEST(LastHopId, ConcurrentClaimsAgree) {
  constexpr uint32_t kHops = 4000;
  const auto flows = std::make_unique<FlowsHeader>();
  std::vector<std::vector<uint16_t>> ids(4, std::vector<uint16_t>(kHops));
  std::vector<std::thread> threads;
  for (auto& mine : ids)
    threads.emplace_back([&flows, &mine] {
      for (uint32_t number = 0; number < kHops; ++number)
        mine[number] = *last_hop_id(*flows, hop_of(number), kClient);
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& mine : ids) EXPECT_EQ(mine, ids[0]);
  uint32_t taken = 0;
  for (const auto& word : flows->last_hops) taken += word.load() != Hop::kNone;
  EXPECT_EQ(taken, kHops);
}

TEST(LastHopId, FullTableRefusesNewHopsAndKeepsOldOnes) {
  const auto flows = std::make_unique<FlowsHeader>();
  uint32_t number = 0;
  while (last_hop_id(*flows, hop_of(number), kClient)) ++number;
  EXPECT_GT(number, kMaxLastHops / 2);
  for (auto& word : flows->last_hops)
    if (word.load() == Hop::kNone) word = hop_of(0xffffffff).word();
  EXPECT_FALSE(last_hop_id(*flows, hop_of(0xfffffff0), kClient));
  for (uint32_t old = 0; old < number; ++old) {
    const auto id = last_hop_id(*flows, hop_of(old), kClient);
    ASSERT_TRUE(id);
    EXPECT_EQ(flows->last_hops[*id].load(), hop_of(old).word());
  }
}

TEST(LastHopId, RowWhoseHopChangedIsNoRowOfTheOldHop) {
  const auto flows = std::make_unique<FlowsHeader>();
  const uint16_t id = *last_hop_id(*flows, hop_of(1), kClient);
  flows->last_hops[id] = hop_of(2).word();
  const uint16_t other = *last_hop_id(*flows, hop_of(1), kClient);
  EXPECT_NE(other, id);
  EXPECT_EQ(flows->last_hops[other].load(), hop_of(1).word());
  EXPECT_EQ(flows->last_hops[*last_hop_id(*flows, hop_of(2), kClient)].load(), hop_of(2).word());
}

TEST(LastHopId, ItsClaimNamesAClient) {
  const auto flows = std::make_unique<FlowsHeader>();
  const uint16_t id = *last_hop_id(*flows, hop_of(1), kClient);
  last_hop_id(*flows, hop_of(1), *IpAddress::parse("198.18.1.102"));
  EXPECT_EQ(flows->last_hop_origins[id].client[0].load(), kClient.word(0));
  EXPECT_EQ(flows->last_hop_origins[id].client[1].load(), kClient.word(1));
}

}  // namespace
}  // namespace teal
