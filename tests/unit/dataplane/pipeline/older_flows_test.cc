// SPDX-License-Identifier: Apache-2.0
//
// FlowCount::older: the flows that a drain waits for. ledger_is_exact() compares the count with the table.
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class OlderFlowsTest : public WorkerTest {
 protected:
  struct Counts {
    uint32_t live, older;
    friend bool operator==(const Counts&, const Counts&) = default;
  };
  // Of the one backend of a colour of kWeb6.
  Counts counts(Colour colour) const {
    Counts sum{};
    for (uint32_t worker = 0; worker < kMaxTestWorkers; ++worker) {
      const FlowCount& count =
          segment().worker(worker).flows[colour == Colour::kBlue ? 4 : 5][static_cast<int>(colour)];
      sum.live += count.live.load();
      sum.older += count.older.load();
    }
    return sum;
  }
  void set_share(uint16_t share) {
    splits->services[kWeb6].other_share = share;
    publish_splits();
    settle();
  }
  void close(const Client& who, uint16_t backend) { pass(kBack, from_backend(who, backend, kRst)); }
};

using OlderFlows = OlderFlowsTest;

TEST_F(OlderFlows, AShareAfterTheFlipBringsNoneToTheIdleColour) {
  start({.workers = 2});
  for (uint32_t i = 0; i < 10; ++i) open_flow(client(kWeb6, i));
  EXPECT_EQ(counts(Colour::kBlue), (Counts{10, 0}));
  flip({kWeb6}, Colour::kGreen);
  EXPECT_EQ(counts(Colour::kBlue), (Counts{10, 10}));
  set_share(kShareOne);
  for (uint32_t i = 10; i < 15; ++i) ASSERT_EQ(open_flow(client(kWeb6, i)), 4);
  EXPECT_EQ(counts(Colour::kBlue), (Counts{15, 10}));
  EXPECT_TRUE(ledger_is_exact());
  for (uint32_t i = 0; i < 10; ++i) close(client(kWeb6, i), 4);
  EXPECT_EQ(counts(Colour::kBlue), (Counts{5, 0})) << "the drain is over";
  close(client(kWeb6, 10), 4);
  EXPECT_EQ(counts(Colour::kBlue), (Counts{4, 0}));
}

TEST_F(OlderFlows, EachFlipMakesAllFlowsOlder) {
  start();
  open_flow(client(kWeb6, 0));
  flip({kWeb6}, Colour::kGreen);
  open_flow(client(kWeb6, 1));
  EXPECT_EQ(counts(Colour::kGreen), (Counts{1, 0}));
  flip({kWeb6}, Colour::kBlue);
  EXPECT_EQ(counts(Colour::kGreen), (Counts{1, 1}));
  flip({kWeb}, Colour::kGreen);
  open_flow(client(kWeb6, 2));
  EXPECT_EQ(counts(Colour::kBlue), (Counts{2, 1})) << "another service's flip changes nothing";
}

TEST_F(OlderFlows, AClosingFlowThatLivesAgainIsAsOldAsBefore) {
  start();
  const Client who = client(kWeb6);
  open_flow(who);
  flip({kWeb6}, Colour::kGreen);
  close(who, 4);
  EXPECT_EQ(counts(Colour::kBlue), (Counts{0, 0}));
  pass(kBack, from_backend(who, 4, kAck, "data"));
  EXPECT_EQ(counts(Colour::kBlue), (Counts{1, 1}));
}

TEST_F(OlderFlows, AMidstreamFlowIsOlderAsItBeganBeforeTealSawIt) {
  start();
  flip({kWeb6}, Colour::kGreen);
  ASSERT_EQ(send_from_client(client(kWeb6), kAck), 4) << "a drain: the previous colour";
  EXPECT_EQ(counts(Colour::kBlue), (Counts{1, 1}));
}

TEST_F(OlderFlows, ARestartCountsThemAgain) {
  start();
  for (uint32_t i = 0; i < 20; ++i) open_flow(client(kWeb6, i));
  flip({kWeb6}, Colour::kGreen);
  set_share(kShareOne);
  for (uint32_t i = 20; i < 30; ++i) open_flow(client(kWeb6, i));
  restart(3);
  EXPECT_EQ(counts(Colour::kBlue), (Counts{30, 20}));
  set_share(0);
  EXPECT_EQ(counts(Colour::kBlue), (Counts{30, 20})) << "no flip";
}

}  // namespace
}  // namespace teal::test
