// SPDX-License-Identifier: Apache-2.0
//
// Where new flows go: by share, by weight and by affinity.
#include "dataplane/pipeline/choose.h"

#include <random>
#include <set>

#include "control/metrics/traffic.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

using Choice = WorkerTest;

TEST_F(Choice, ShareSplitsNewFlowsWithinBounds) {
  splits->services[kWeb].other_share = 2'500;
  start({.flow_capacity = 20'000});
  uint32_t green = 0;
  constexpr uint32_t kFlows = 4'000;  // 25 % of them: 1,000, standard deviation 27
  for (uint32_t i = 0; i < kFlows; ++i)
    green += colour_of(send_from_client(client(kWeb, i), kSyn)) == Colour::kGreen;
  EXPECT_NEAR(green, 1'000, 5 * 27);
  Traffic of_green;
  of_green.add(segment().worker(0), kWeb, Colour::kGreen);
  EXPECT_EQ(of_green.new_flows, green);
}

TEST_F(Choice, ShareOf0And1AreWhole) {
  start();
  splits->services[kWeb].other_share = kShareOne;
  publish_splits();
  for (uint32_t i = 0; i < 50; ++i)
    EXPECT_EQ(colour_of(send_from_client(client(kWeb, i), kSyn)), Colour::kGreen);
  splits->services[kWeb].other_share = 0;
  publish_splits();
  for (uint32_t i = 50; i < 100; ++i)
    EXPECT_EQ(colour_of(send_from_client(client(kWeb, i), kSyn)), Colour::kBlue);
}

constexpr uint64_t kDay = 24 * 3600 * 100;  // ticks

TEST(IsDraining, AFlipStaysOverForYears) {
  for (const uint64_t flipped_at : {uint64_t{0}, uint64_t{1'000}, ~uint64_t{0} - 500}) {  // before the boot
    const TrafficSplit split{.flipped_at_tick = flipped_at, .drain_ticks = 30'000};
    EXPECT_TRUE(is_draining(split, flipped_at + 29'999));
    EXPECT_TRUE(is_draining(split, flipped_at - 1)) << "two clocks differ by a tick";
    for (uint64_t days = 1; days < 3'000; ++days) EXPECT_FALSE(is_draining(split, flipped_at + days * kDay));
  }
}

TEST_F(Choice, FailedInsertStaysOverForYears) {
  start();
  InsertFailures failures(segment().worker(0), segment().flows());
  failures.set_time(1'000);
  EXPECT_FALSE(failures.within(~uint64_t{0})) << "there was none";
  failures.note(Event::k_table_full);
  EXPECT_TRUE(failures.within(0));
  for (uint64_t days = 1; days < 3'000; ++days) {
    failures.set_time(1'000 + days * kDay);
    EXPECT_FALSE(failures.within(kDay / 2)) << days;
  }
}

TEST_F(Choice, AStartingWorkerTakesTheLatestFailedInsertOfAllWorkers) {
  start({.workers = 2});
  const auto failed_at = [&](uint32_t worker, uint64_t tick) {
    InsertFailures failures(segment().worker(worker), segment().flows());
    failures.set_time(tick);
    failures.note(Event::k_table_full);
  };
  failed_at(0, 1'000);
  failed_at(1, 999);  // two clocks differ by a tick
  InsertFailures failures(segment().worker(1), segment().flows());
  failures.set_time(1'010);
  EXPECT_TRUE(failures.within(10));
  EXPECT_FALSE(failures.within(9));
}

// In random steps, from 0 to 1.
TEST(ChooseColour, ARaisedShareSendsNobodyBack) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t choice = random();  // of a flow, or with affinity of a client
    TrafficSplit split{.active = i % 2 == 0 ? Colour::kBlue : Colour::kGreen};
    bool on_other = false;
    uint32_t share = 0;
    while (share < kShareOne) {
      share = std::min<uint32_t>(kShareOne, share + 1 + static_cast<uint32_t>(random() % 3'000));
      split.other_share = static_cast<uint16_t>(share);
      const bool is_on_other = choose_colour(split, choice) != split.active;
      EXPECT_TRUE(is_on_other || !on_other) << choice << " at " << share;
      on_other = is_on_other;
    }
    EXPECT_TRUE(on_other);
  }
}

TEST_F(Choice, ShareTakesItsFlowsFromAllBackends) {
  splits->services[kWeb].other_share = 5'000;
  start();
  std::vector<uint32_t> flows_of(4);
  for (uint32_t i = 0; i < 200; ++i) ++flows_of[send_from_client(client(kWeb, i), kSyn)];
  for (const uint32_t flows : flows_of) EXPECT_GT(flows, 20u);
}

TEST_F(Choice, AffinityClientKeepsAClientsFlowsTogether) {
  ruleset_input.services[kWeb].affinity_client = true;
  start();
  std::set<uint16_t> used;
  for (uint32_t host = 1; host < 50; ++host) {
    Client who = client(kWeb);
    who.address.bytes[15] = static_cast<uint8_t>(host);
    const uint16_t backend = send_from_client(who, kSyn);
    used.insert(backend);
    for (who.port = 50'000; who.port < 50'004; ++who.port) EXPECT_EQ(send_from_client(who, kSyn), backend);
  }
  EXPECT_EQ(used.size(), 2u);
}

TEST_F(Choice, AffinityFlowSpreadsAClientsFlows) {
  start();
  std::set<uint16_t> used;
  Client who = client(kWeb);
  for (who.port = 50'000; who.port < 50'050; ++who.port) used.insert(send_from_client(who, kSyn));
  EXPECT_EQ(used.size(), 2u);
}

TEST_F(Choice, IsAPureFunctionOfSeedAndFlowKey) {
  start();
  for (uint32_t i = 0; i < 50; ++i) {
    const uint16_t chosen = chosen_backend(client(kWeb, i), Colour::kBlue);
    EXPECT_EQ(send_from_client(client(kWeb, i), kSyn), chosen);
  }
}

}  // namespace
}  // namespace teal::test
