// SPDX-License-Identifier: Apache-2.0
//
// Flows without an entry go on after a restart with other workers and after an upgrade, as flows with an
// entry do. Nothing but the tick of the latest failed insert says that there may be such flows.
#include <gtest/gtest.h>

#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class InsertFailureRestart : public WorkerTest {
 protected:
  static constexpr uint32_t kPartitions = 3;

  // Each partition has one bucket, which becomes full: web takes its share, and web6 takes the rest.
  void fill_table() {
    start({.flow_capacity = 1, .partitions = kPartitions});
    header().client_default_hops[0].store(Hop{kSide, kDefaultHopMac}.word());
    const uint64_t buckets = segment().flow_table().geometry().buckets();
    ASSERT_EQ(buckets, kPartitions);
    for (uint32_t i = 0; i < 1'000; ++i) {
      const Client who = client(i < 500 ? kWeb : kWeb6, i);
      pass(kBack, from_backend(who, send_from_client(who, kSyn), kSynAck));
      send_from_client(who, kAck);
    }
    ASSERT_EQ(flows(), buckets * FlowTable::kSlots);
  }
  // A flow without an entry whose packets the last of three workers gets.
  Client begin_without_entry() {
    const FlowTable table = segment().flow_table();
    Client who = client(kWeb, 2'000);
    while (table.owner_of(table.locate(key_of(who)).hash, 3) != 2) ++who.port;
    backend = send_from_client(who, kSyn);
    EXPECT_NE(backend, kNoId);
    EXPECT_EQ(flow_of(who), std::nullopt);
    return who;
  }
  void expect_reply_reaches(const Client& who) {
    const Sent reply = pass(kBack, from_backend(who, backend, kAck));
    EXPECT_EQ(reply.from(), "198.18.0.10:80");
    EXPECT_EQ(reply.port, kSide);
    EXPECT_TRUE(checksums_are_right(reply.frame));
  }
  uint16_t backend = kNoId;
};

TEST_F(InsertFailureRestart, MoreWorkersForwardTheRepliesOfFlowsWithoutAnEntry) {
  fill_table();
  const Client who = begin_without_entry();
  restart(3);
  expect_reply_reaches(who);
  restart(2);
  expect_reply_reaches(who);
}

TEST_F(InsertFailureRestart, AnUpgradeWithOtherCountersForwardsTheRepliesOfFlowsWithoutAnEntry) {
  fill_table();
  const Client who = begin_without_entry();
  upgrade(PartId::kCounters);
  expect_reply_reaches(who);
}

TEST_F(InsertFailureRestart, MoreWorkersLeaveFlowsWithoutAnEntryOnTheActiveColourDuringADrain) {
  fill_table();
  flip({kWeb}, Colour::kGreen);
  const Client who = begin_without_entry();
  ASSERT_EQ(colour_of(backend), Colour::kGreen);
  restart(3);
  EXPECT_EQ(send_from_client(who, kAck), backend) << "it began after the flip";
}

TEST_F(InsertFailureRestart, AnUpgradeLeavesFlowsWithoutAnEntryOnTheActiveColourDuringADrain) {
  fill_table();
  flip({kWeb}, Colour::kGreen);
  const Client who = begin_without_entry();
  upgrade(PartId::kCounters);
  EXPECT_EQ(send_from_client(who, kAck), backend) << "it began after the flip";
}

// The time counts from the failure: a restart does not prolong it.
TEST_F(InsertFailureRestart, RepliesArePuntedOnceTheLastFailedInsertIsLongAgo) {
  ruleset_input.timeouts.tcp_established = 10'000;
  fill_table();
  const Client who = begin_without_entry();
  let_pass(9'999);
  restart(3);
  expect_reply_reaches(who);
  let_pass(2);
  restart(1);
  EXPECT_TRUE(punts_unchanged(kBack, from_backend(who, backend, kAck)));
}

}  // namespace
}  // namespace teal::test
