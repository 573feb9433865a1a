// SPDX-License-Identifier: Apache-2.0
//
// Promise 12: the flood of one service does not take the flow table, nor the embryonic quota, from the
// others.
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class ServiceShare : public WorkerTest {
 protected:
  static constexpr uint32_t kFlood = 20'000;

  // One-way packets of a service, from addresses that nobody answers.
  void flood(uint16_t service) {
    for (uint32_t i = 0; i < kFlood; ++i) {
      inject(kFront, from_client(client(service, 1'000 + i), kSyn));
      if (i % 64 == 0) {
        settle();
        collect();
      }
    }
    settle();
    collect();
  }
  // A connection; without an entry if the service has its share.
  void connect(const Client& who) {
    const uint16_t backend = send_from_client(who, kSyn);
    pass(kBack, from_backend(who, backend, kSynAck));
    EXPECT_EQ(send_from_client(who, kAck), backend);
  }
  uint64_t quota() const { return segment().flow_table().geometry().buckets() * FlowTable::kSlots / 4; }
};

class ServiceShareOf : public ServiceShare, public testing::WithParamInterface<uint16_t> {};

TEST_P(ServiceShareOf, FloodOfOneServiceLeavesTheOthersANinthOfTheQuota) {
  start({.flow_capacity = 2'000});
  flood(GetParam());
  EXPECT_EQ(flows(), embryonic_quota());
  const uint16_t other = GetParam() == kEcho ? kWeb : kEcho;
  const auto room = static_cast<uint32_t>((quota() - embryonic_quota()) * 3 / 4);
  for (uint32_t i = 0; i < room; ++i) {
    send_from_client(client(other, i), kSyn);
    ASSERT_TRUE(flow_of(client(other, i))) << i << " of " << room;
  }
}
INSTANTIATE_TEST_SUITE_P(Services, ServiceShareOf, testing::Values(kWeb, kWeb6, kEcho, kEcho6),
                         service_param_name);

TEST_F(ServiceShare, FloodEndsItsOwnFlowsAloneAndTheOthersGrow) {
  ruleset_input.timeouts.embryonic = 50;
  start({.flow_capacity = 2'000});
  flood(kEcho);
  for (uint32_t i = 0; i < kFlood; ++i) {  // the other service takes what the flood's flows leave
    if (i % 100 == 0) let_pass(10);
    send_from_client(client(kWeb, i % 5'000), kSyn);
    send_from_client(client(kEcho, 50'000 + i), kSyn);
  }
  uint32_t of_web = 0;
  for (uint32_t i = 0; i < 5'000; ++i) of_web += flow_of(client(kWeb, i)).has_value();
  EXPECT_GT(of_web, quota() / 3) << "of two floods, each gets 8 of 17";
}

TEST_F(ServiceShare, AssuredFlowsOfOneServiceLeaveRoomForTheOthers) {
  start({.flow_capacity = 200, .partitions = 1});
  const uint64_t slots = segment().flow_table().geometry().buckets() * FlowTable::kSlots;
  for (uint32_t i = 0; i < 2 * slots; ++i) connect(client(kWeb, i));
  EXPECT_GE(flows(), 200u) << "the configured number";
  EXPECT_EQ(flows(), (8 * slots + 8) / 9);
  EXPECT_GT(count(Event::k_service_share), 0u);
  EXPECT_EQ(count(Event::k_table_full), 0u);
  for (uint32_t i = 0; i < slots / 20; ++i) {
    open_flow(client(kWeb6, i));
    ASSERT_TRUE(flow_of(client(kWeb6, i))) << i;
  }
}

TEST_F(ServiceShare, PacketsBeyondTheShareGoOnWithoutAnEntry) {
  start({.flow_capacity = 200, .partitions = 1});
  const uint64_t slots = segment().flow_table().geometry().buckets() * FlowTable::kSlots;
  for (uint32_t i = 0; i < slots; ++i) connect(client(kWeb, i));
  const Client who = client(kWeb, 9'000);
  const uint16_t backend = send_from_client(who, kSyn);
  ASSERT_NE(backend, kNoId);
  EXPECT_FALSE(flow_of(who));
  EXPECT_EQ(send_from_client(who), backend);
}

TEST_F(ServiceShare, SharesAreRightAfterARestartAndAReload) {
  start({.workers = 2, .flow_capacity = 2'000});
  flood(kEcho);
  for (uint32_t i = 0; i < 50; ++i) open_flow(client(kWeb, i));
  const uint64_t before = flows();
  restart(3);
  restart(2);
  publish();
  settle();
  for (uint32_t i = 0; i < 500; ++i) send_from_client(client(kEcho, 40'000 + i));
  EXPECT_LE(flows(), before + 2) << "the flood has its share";
  EXPECT_TRUE(ledger_is_exact());
}

}  // namespace
}  // namespace teal::test
