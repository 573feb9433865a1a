// SPDX-License-Identifier: Apache-2.0
//
// Promise 12: a full flow table has a stated policy, and a SYN flood evicts no established flow.
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class FullTableTest : public WorkerTest {
 protected:
  static constexpr uint32_t kFlows = FlowTable::kSlots;  // a table of one bucket

  // The client of a flow that fills the table.
  static Client filler(uint32_t number) { return client(number < kShareOfBucket ? kWeb : kWeb6, number); }
  void fill_table() {
    start({.flow_capacity = 1, .partitions = 1});
    ASSERT_EQ(segment().flow_table().geometry().buckets(), 1u);
    for (uint32_t i = 0; i < kFlows; ++i) backends.push_back(open_flow(filler(i)));
    ASSERT_EQ(flows(), kFlows);
  }
  void expect_first_flows_untouched() {
    for (uint32_t i = 0; i < backends.size(); ++i) {
      EXPECT_EQ(send_from_client(client(kWeb, i)), backends[i]);
      EXPECT_EQ(phase_of(client(kWeb, i)), FlowPhase::kEstablished);
    }
  }
  std::vector<uint16_t> backends;
};

using FullTable = FullTableTest;
using SynFlood = FullTableTest;

TEST_F(FullTable, NewFlowIsForwardedWithoutAnEntryAlwaysToTheSameBackend) {
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

TEST_F(FullTable, ReplyWithoutAFlowOrADefaultHopLeavesByTheHopOfTheLatestStatelessClient) {
  fill_table();
  const Client who = client(kWeb, 1'000);
  const Sent reply = pass(kBack, from_backend(who, send_from_client(who, kSyn), kSynAck));
  EXPECT_EQ(reply.port, kFront);
  EXPECT_EQ(reply.destination_mac(), kClientMac);
}

TEST_F(FullTable, AnotherFamilysClientWithoutAFlowMovesNoReply) {
  constexpr MacAddress kRouterMac{{0x02, 0, 0, 0, 0, 0x77}};
  fill_table();
  const Client who = client(kWeb, 1'000);
  const uint16_t backend = send_from_client(who, kSyn);
  Frame by_router = from_client(client(kWeb6, 1'000), kSyn);
  write_ethernet_addresses(by_router.data(), kSideMac.word(), kRouterMac.word());
  pass(kSide, by_router);
  ASSERT_EQ(count(Event::k_stateless), 2u);
  const Sent reply = pass(kBack, from_backend(who, backend, kSynAck));
  EXPECT_EQ(reply.port, kFront);
  EXPECT_EQ(reply.destination_mac(), kClientMac);
}

TEST_F(FullTable, ReplyWithoutAFlowGetsTheVipOnlyFromTheBackendThatTheChoiceNames) {
  fill_table();
  const Client who = client(kWeb, 1'000);
  send_from_client(who, kSyn);
  uint32_t answered = 0;
  for (uint16_t backend = 0; backend < 4; ++backend) {
    const Frame reply = from_backend(who, backend, kSynAck);
    if (backend == chosen_backend(who, colour_of(backend))) {  // a flip may have come in between
      EXPECT_EQ(pass(kBack, reply).from(), "198.18.0.10:80");
      ++answered;
    } else {
      EXPECT_TRUE(punts_unchanged(kBack, reply)) << "traffic of somebody else with backend " << backend;
    }
  }
  EXPECT_EQ(answered, 2u);
}

TEST_F(FullTable, UdpReplyWithoutAFlowGetsTheVipOnlyFromTheBackendThatTheChoiceNames) {
  fill_table();
  const Client who = client(kEcho, 1'000);
  send_from_client(who);
  for (uint16_t backend = 6; backend < 10; ++backend) {
    const Frame reply = from_backend(who, backend);
    if (backend == chosen_backend(who, colour_of(backend))) {
      EXPECT_EQ(pass(kBack, reply).from(), "198.18.0.10:5300");
    } else {
      EXPECT_TRUE(punts_unchanged(kBack, reply));
    }
  }
}

// The health checks of this host come from an address on the backends' link.
TEST_F(FullTable, ReplyTowardsTheBackendsOwnLinkIsPunted) {
  fill_table();
  for (auto& bits : header().on_link_prefix_bits) bits.store(96 + 24);
  send_from_client(client(kWeb, 1'000), kSyn);
  Client host = client(kWeb);
  host.address = *IpAddress::parse("198.18.2.1");
  for (host.port = 50'000; host.port < 50'020; ++host.port) {
    for (uint16_t backend = 0; backend < 4; ++backend)
      EXPECT_TRUE(punts_unchanged(kBack, from_backend(host, backend, kSynAck)));
  }
  EXPECT_EQ(count(Event::k_stateless), 1u) << "of the client's SYN";
}

TEST_F(FullTable, ReplyWithoutAFlowIsPuntedAgainOnceTheLastFailedInsertIsLongAgo) {
  ruleset_input.timeouts.tcp_established = 3;
  fill_table();
  const Client who = client(kWeb, 1'000);
  const uint16_t backend = send_from_client(who, kSyn);
  EXPECT_EQ(pass(kBack, from_backend(who, backend, kSynAck)).port, kFront);
  let_pass(6);
  EXPECT_TRUE(punts_unchanged(kBack, from_backend(who, backend, kSynAck)));
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
  for (uint32_t i = 0; i < kFlows; ++i) EXPECT_EQ(send_from_client(filler(i)), backends[i]);
  EXPECT_EQ(count(Event::k_table_full), 100u);
}

TEST_F(FullTable, FreedSlotTakesTheNextFlow) {
  fill_table();
  pass(kBack, from_backend(client(kWeb, 0), backends[0], kRst));
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
  expect_first_flows_untouched();
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

// The backends answer the flood's SYNs, and no client answers the backends.
TEST_F(SynFlood, AnsweredByTheBackendsFillsNoMoreThanTheQuota) {
  start();
  for (uint32_t i = 0; i < 100; ++i) backends.push_back(open_flow(client(kWeb, i)));
  for (uint32_t i = 0; i < 5'000; ++i) {
    const Client forged = client(kWeb, 1'000 + i);
    const uint16_t backend = send_from_client(forged, kSyn);
    for (int tries = 0; tries < 2; ++tries)
      EXPECT_EQ(pass(kBack, from_backend(forged, backend, kSynAck)).port, kFront);
  }
  EXPECT_EQ(segment().worker(0).status.embryonic_flows.load(), embryonic_quota());
  EXPECT_EQ(flows(), 100 + embryonic_quota());
  EXPECT_EQ(count(Event::k_table_full), 0u);
  expect_first_flows_untouched();
}

TEST_F(SynFlood, OfUdpThatNobodyAnswersFillsNoMoreThanTheQuota) {
  start();
  for (uint32_t i = 0; i < 1'000; ++i) {
    send_from_client(client(kEcho, i));
    send_from_client(client(kEcho, i));
  }
  EXPECT_EQ(flows(), embryonic_quota());
}

// A RST shortens a flow's timeout, but the flow still counts in the quota. Otherwise SYN and RST in turn
// would fill the table.
TEST_F(SynFlood, WithRstsFillsNoMoreThanTheQuota) {
  start();
  for (uint32_t i = 0; i < 100; ++i) backends.push_back(open_flow(client(kWeb, i)));
  for (uint32_t i = 0; i < 3'000; ++i) {
    send_from_client(client(kWeb, 1'000 + i), kSyn);
    send_from_client(client(kWeb, 1'000 + i), kRst);
  }
  EXPECT_EQ(flows(), 100 + embryonic_quota());
  EXPECT_EQ(segment().worker(0).status.embryonic_flows.load(), embryonic_quota());
  expect_first_flows_untouched();
}

// A segment after the RST must not look like the client's answer to the backend: the backend has never
// answered.
TEST_F(SynFlood, WithRstsAndDataFillsNoMoreThanTheQuota) {
  start();
  for (uint32_t i = 0; i < 1'000; ++i) {
    const Client forged = client(kWeb, 1'000 + i);
    send_from_client(forged, kSyn);
    send_from_client(forged, kRst);
    send_from_client(forged, kAck);
    pass(kFront, from_client(forged, kAck, "data"));
    send_from_client(forged, kAck);
    send_from_client(forged, kFin);
  }
  EXPECT_EQ(flows(), embryonic_quota());
}

TEST_F(SynFlood, RefusedByTheBackendsFillsNoMoreThanTheQuota) {
  start();
  for (uint32_t i = 0; i < 1'000; ++i) {
    const Client forged = client(kWeb, 1'000 + i);
    pass(kBack, from_backend(forged, send_from_client(forged, kSyn), kRstAck));
    send_from_client(forged, kAck);
  }
  EXPECT_EQ(flows(), embryonic_quota());
}

TEST_F(SynFlood, OfSegmentsOtherThanSynsFillsNoMoreThanTheQuota) {
  start();
  for (uint32_t i = 0; i < 1'000; ++i) {
    send_from_client(client(kWeb, i), kAck);
    pass(kFront, from_client(client(kWeb, i), kAck, "data"));
  }
  EXPECT_EQ(flows(), embryonic_quota());
}

TEST_F(SynFlood, EndsWithTheEmbryonicTimeoutAndLeavesRoom) {
  ruleset_input.timeouts.embryonic = 3;
  start();
  for (uint32_t i = 0; i < 1'000; ++i) {
    const Client forged = client(kWeb, 1'000 + i);
    pass(kBack, from_backend(forged, send_from_client(forged, kSyn), kSynAck));
  }
  let_pass(6);
  restart(1);  // its first sweep goes round the whole table
  settle();
  EXPECT_EQ(flows(), 0u);
  open_flow(client(kWeb));
}

TEST_F(SynFlood, AnswersOfTheClientsMakeRoomAgain) {
  start();
  std::vector<uint16_t> asked;
  for (uint32_t i = 0; i < 500; ++i) asked.push_back(send_from_client(client(kWeb, 1'000 + i), kSyn));
  for (uint32_t i = 0; i < 500; ++i) pass(kBack, from_backend(client(kWeb, 1'000 + i), asked[i], kSynAck));
  send_from_client(client(kWeb), kSyn);
  EXPECT_EQ(flow_of(client(kWeb)), std::nullopt) << "the backends' answers make no room";
  for (uint32_t i = 0; i < 500; ++i) EXPECT_EQ(send_from_client(client(kWeb, 1'000 + i), kAck), asked[i]);
  send_from_client(client(kWeb), kSyn);
  EXPECT_EQ(phase_of(client(kWeb)), FlowPhase::kEmbryonic);
}

}  // namespace
}  // namespace teal::test
