// SPDX-License-Identifier: Apache-2.0
//
// Promise 12: a full flow table is a stated policy, and a SYN flood evicts nobody.
#include "tests/unit/dataplane/switch_fixture.h"

namespace teal::test {
namespace {

class FullTableTest : public SwitchTest {
 protected:
  static constexpr uint32_t kFlows = FlowTable::kSlots;  // a table of one bucket

  void fill_table() {
    start({.flow_capacity = 1, .partitions = 1});
    ASSERT_EQ(segment().flow_table().geometry().buckets(), 1u);
    for (uint32_t i = 0; i < kFlows; ++i) backends.push_back(open_flow(client(kWeb, i)));
    ASSERT_EQ(flows(), kFlows);
  }
  std::vector<uint16_t> backends;
};

using FullTable = FullTableTest;
using SynFlood = FullTableTest;

TEST_F(FullTable, NewFlowIsForwardedWithoutAnEntryAlwaysAlike) {
  fill_table();
  const Client who = client(kWeb, 1'000);
  const uint16_t backend = send_from_client(who, kSyn);
  EXPECT_NE(backend, kNoId);
  EXPECT_EQ(count(Event::k_table_full), 1u);
  EXPECT_EQ(count(Event::k_stateless), 1u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(send_from_client(who, kAck), backend);
  EXPECT_EQ(flow_of(who), std::nullopt);
  EXPECT_EQ(flows(), kFlows);
}

TEST_F(FullTable, UdpIsForwardedWithoutAnEntryToo) {
  fill_table();
  const uint16_t backend = send_from_client(client(kEcho));
  EXPECT_NE(backend, kNoId);
  EXPECT_EQ(pass(kBack, from_backend(client(kEcho), backend)).from(), "198.18.0.10:5300");
}

TEST_F(FullTable, ReplyWithoutAFlowStillGetsTheVipByTheDefaultHop) {
  fill_table();
  header().client_default_hops[0].store(Hop{kSide, kDefaultHopMac}.word());
  const Client who = client(kWeb, 1'000);
  const Sent reply = pass(kBack, from_backend(who, send_from_client(who, kSyn), kSynAck));
  EXPECT_EQ(reply.from(), "198.18.0.10:80");
  EXPECT_EQ(reply.port, kSide);
  EXPECT_EQ(reply.destination_mac(), kDefaultHopMac);
  EXPECT_TRUE(checksums_are_right(reply.frame));
  EXPECT_EQ(count(Event::k_stateless), 2u);
}

TEST_F(FullTable, ReplyWithoutAFlowOrADefaultHopGoesWhereTheLatestSuchClientIs) {
  fill_table();
  const Client who = client(kWeb, 1'000);
  const Sent reply = pass(kBack, from_backend(who, send_from_client(who, kSyn), kSynAck));
  EXPECT_EQ(reply.port, kFront);
  EXPECT_EQ(reply.destination_mac(), kClientMac);
}

TEST_F(FullTable, DrainSendsUnknownFlowsToTheActiveColourOnceAnInsertFailedSinceTheFlip) {
  fill_table();
  flip({kWeb}, Colour::kGreen);
  const Client who = client(kWeb, 1'000);
  const uint16_t backend = send_from_client(who, kSyn);
  EXPECT_EQ(colour_of(backend), Colour::kGreen);
  EXPECT_EQ(send_from_client(who, kAck), backend)
      << "its SYN left no entry, so it only looks like an old flow";
}

TEST_F(FullTable, EstablishedFlowsGoOn) {
  fill_table();
  for (uint32_t i = 0; i < 100; ++i) send_from_client(client(kWeb, 1'000 + i), kSyn);
  for (uint32_t i = 0; i < kFlows; ++i) EXPECT_EQ(send_from_client(client(kWeb, i)), backends[i]);
  EXPECT_EQ(count(Event::k_table_full), 100u);
}

TEST_F(FullTable, FreedPlaceTakesTheNextFlow) {
  fill_table();
  send_from_client(client(kWeb, 0), kRst);
  EXPECT_NE(send_from_client(client(kWeb, 0), kSyn), kNoId);  // replaces its own entry
  EXPECT_EQ(count(Event::k_flows_replaced), 1u);
  EXPECT_EQ(count(Event::k_table_full), 0u);
  EXPECT_EQ(flows(), kFlows);
}

TEST_F(SynFlood, NeverEvictsAnEstablishedFlow) {
  start();
  for (uint32_t i = 0; i < 100; ++i) backends.push_back(open_flow(client(kWeb, i)));
  for (uint32_t i = 0; i < 5'000; ++i) {
    inject(kFront, from_client(client(kWeb, 1'000 + i), kSyn));
    if (i % 64 == 0) {
      settle();
      collect();
    }
  }
  settle();
  collect();
  EXPECT_GT(count(Event::k_embryonic_quota), 4'000u);
  EXPECT_EQ(count(Event::k_table_full), 0u) << "the quota leaves room";
  for (uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(send_from_client(client(kWeb, i)), backends[i]);
    EXPECT_EQ(phase_of(client(kWeb, i)), FlowPhase::kEstablished);
  }
}

TEST_F(SynFlood, ConnectionsWithoutAnEntryWork) {
  start();
  for (uint32_t i = 0; i < 500; ++i) send_from_client(client(kWeb, 1'000 + i), kSyn);
  const uint64_t refused = count(Event::k_embryonic_quota);
  EXPECT_GT(refused, 0u);
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  EXPECT_EQ(count(Event::k_embryonic_quota), refused + 1);
  EXPECT_EQ(pass(kBack, from_backend(who, backend, kSynAck)).from(), "198.18.0.10:80");
  EXPECT_EQ(send_from_client(who, kAck), backend);
  EXPECT_EQ(flow_of(who), std::nullopt);
}

TEST_F(SynFlood, AnswersOfTheBackendMakeRoomAgain) {
  start();
  std::vector<uint16_t> asked;
  for (uint32_t i = 0; i < 500; ++i) asked.push_back(send_from_client(client(kWeb, 1'000 + i), kSyn));
  for (uint32_t i = 0; i < 500; ++i) pass(kBack, from_backend(client(kWeb, 1'000 + i), asked[i], kSynAck));
  send_from_client(client(kWeb), kSyn);
  EXPECT_EQ(phase_of(client(kWeb)), FlowPhase::kEmbryonic);
}

}  // namespace
}  // namespace teal::test
