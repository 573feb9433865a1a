// SPDX-License-Identifier: Apache-2.0
#include "control/publish/publisher.h"

#include <csignal>

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

const std::vector<SplitUpdate> kToGreen = {
    {3, {.active = Colour::kGreen, .previous = Colour::kBlue, .drain_ticks = 1}}};

class PublisherTest : public testing::Test {
 protected:
  // Something published to go on from.
  void publish_first(uint64_t generation = 1) {
    auto rules = std::make_unique<Ruleset>();
    rules->maglev_used = 2;
    rules->maglev[1] = 42;
    ASSERT_TRUE(publisher.publish_all(generation, *rules, TrafficSplits{}));
  }

  TempDir dir;
  Publisher publisher{dir.path()};
};

TEST_F(PublisherTest, AnAbsentSegmentIsNoError) {
  const auto news = publisher.refresh();
  ASSERT_TRUE(news);
  EXPECT_FALSE(news->new_segment);
  EXPECT_FALSE(publisher.attached());
  EXPECT_FALSE(publisher.dataplane_running());
  EXPECT_EQ(publisher.generation(), 0u);
  EXPECT_EQ(publisher.splits(), nullptr);
  EXPECT_TRUE(publisher.grace_period_over());
}

TEST_F(PublisherTest, AForeignFileIsRefused) {
  FILE* file = fopen(dir.file("segment").c_str(), "w");
  fputs("no segment", file);
  fclose(file);
  const auto news = publisher.refresh();
  ASSERT_FALSE(news);
  EXPECT_NE(news.error().find("segment"), std::string::npos) << news.error();
}

// The kernel frees the memory of a killed process first and its locks later.
TEST_F(PublisherTest, ADataplaneThatIsBeingKilledDoesNotRunAlthoughItHoldsItsLock) {
  FakeDataplane dataplane(dir.path());
  ASSERT_TRUE(publisher.refresh());
  EXPECT_TRUE(publisher.dataplane_running());
  const pid_t killed = fork();
  if (killed == 0) pause();
  ASSERT_EQ(kill(killed, SIGKILL), 0);
  siginfo_t ended{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(killed), &ended, WEXITED | WNOWAIT), 0);  // it stays as a zombie
  dataplane.segment().header().dataplane_pid = static_cast<uint32_t>(killed);
  EXPECT_FALSE(publisher.dataplane_running());
  waitpid(killed, nullptr, 0);
}

// The unit of teald may hide the processes of other users (ProtectProc=invisible).
TEST_F(PublisherTest, WhereProcHidesTheDataplaneTheLockDecidesAndItIsToldSo) {
  FakeDataplane dataplane(dir.path());
  Publisher blind(dir.path(), dir.file("proc"));
  ASSERT_TRUE(publisher.refresh() && blind.refresh());
  EXPECT_FALSE(publisher.is_dataplane_hidden());
  EXPECT_TRUE(blind.is_dataplane_hidden());
  EXPECT_TRUE(blind.dataplane_running());
  dataplane.stop();
  EXPECT_FALSE(blind.is_dataplane_hidden());
  EXPECT_FALSE(blind.dataplane_running());
}

// It has the lock already. Its flows are not counted yet, and no worker polls.
TEST_F(PublisherTest, ADataplaneThatStartsDoesNotRunYet) {
  FakeDataplane dataplane(dir.path());
  ASSERT_TRUE(publisher.refresh());
  for (const uint32_t former : {0u, 1u}) {
    dataplane.segment().header().dataplane_pid = former;
    EXPECT_FALSE(publisher.dataplane_running()) << former;
  }
}

TEST_F(PublisherTest, OnlyTheLastPublicationsAreLogged) {
  FakeDataplane dataplane(dir.path());
  ASSERT_TRUE(publisher.refresh());
  EXPECT_EQ(publisher.was_published(0), false);
  publish_first(5);
  for (uint64_t generation = 7; generation < 7 + 2 * kPublishedLog; generation += 2)
    ASSERT_TRUE(FakeDataplane::wait_for([&] { return publisher.publish_splits(generation, kToGreen); }));
  const uint64_t present = publisher.generation();
  EXPECT_EQ(publisher.was_published(present), true);
  EXPECT_EQ(publisher.was_published(present + 1), false);
  EXPECT_EQ(publisher.was_published(present - 2), true);
  EXPECT_EQ(publisher.was_published(present - 1), false) << "it was given and not published";
  EXPECT_EQ(publisher.was_published(5), std::nullopt) << "too old";
}

TEST_F(PublisherTest, FollowsTheSegmentAndItsDataplane) {
  FakeDataplane dataplane(dir.path());
  auto news = publisher.refresh();
  EXPECT_TRUE(news->new_segment && news->dataplane_started);
  EXPECT_TRUE(publisher.dataplane_running());
  news = publisher.refresh();
  EXPECT_FALSE(news->new_segment || news->dataplane_started);
  dataplane.stop();
  EXPECT_FALSE(publisher.dataplane_running());
  FakeDataplane again(dir.path());
  news = publisher.refresh();
  EXPECT_FALSE(news->new_segment);
  EXPECT_TRUE(news->dataplane_started);
}

TEST_F(PublisherTest, FollowsASegmentThatReplacesTheFirst) {
  {
    FakeDataplane dataplane(dir.path());
    ASSERT_TRUE(publisher.refresh());
    publish_first();
  }
  std::filesystem::remove(std::filesystem::canonical(dir.file("segment")));
  std::filesystem::remove(dir.file("segment"));
  ASSERT_TRUE(publisher.refresh());
  EXPECT_FALSE(publisher.attached());
  FakeDataplane other(dir.path());
  EXPECT_TRUE(publisher.refresh()->new_segment);
  EXPECT_EQ(publisher.generation(), 0u);
}

TEST_F(PublisherTest, AFlipCopiesTheSplitsAndKeepsTheRuleset) {
  FakeDataplane dataplane(dir.path());
  ASSERT_TRUE(publisher.refresh());
  publish_first();
  const Ruleset* rules = publisher.ruleset();
  EXPECT_EQ(rules->maglev[1], 42);
  ASSERT_TRUE(publisher.publish_splits(2, kToGreen));
  EXPECT_EQ(publisher.ruleset(), rules);
  EXPECT_EQ(publisher.splits()->services[3].active, Colour::kGreen);
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return publisher.adoption(true).complete(); }));
  ASSERT_TRUE(publisher.publish_splits(3, std::vector<SplitUpdate>{{4, {.active = Colour::kGreen}}}));
  EXPECT_EQ(publisher.splits()->services[3].active, Colour::kGreen) << "what other flips did stays";
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return publisher.adopted_generation(true) == 3; }));
}

TEST_F(PublisherTest, AdoptionIsOfEveryWorker) {
  FakeDataplane dataplane(dir.path(), 3);
  ASSERT_TRUE(publisher.refresh());
  publish_first();
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return publisher.adoption(true).complete(); }));
  EXPECT_EQ(publisher.adoption(true).adopted, 3u);
  dataplane.hold_still(true);
  ASSERT_TRUE(publisher.publish_splits(2, kToGreen));
  EXPECT_FALSE(publisher.adoption(true).complete());
  EXPECT_EQ(publisher.adopted_generation(true), 1u);
  EXPECT_FALSE(publisher.grace_period_over());
  dataplane.hold_still(false);
  EXPECT_TRUE(FakeDataplane::wait_for(
      [&] { return publisher.adoption(true).complete() && publisher.grace_period_over(); }));
}

TEST_F(PublisherTest, AStalledWorkerStopsOnlyTheLastOfTheSlots) {
  FakeDataplane dataplane(dir.path());
  ASSERT_TRUE(publisher.refresh());
  publish_first();
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return publisher.grace_period_over(); }));
  dataplane.hold_still(true);
  uint64_t generation = 2;
  while (generation < 1000 && publisher.publish_splits(generation, kToGreen)) ++generation;
  EXPECT_EQ(generation, 2 + kSplitSlots - 1);
  EXPECT_EQ(publisher.generation(), generation - 1) << "what found no slot was not published";
  dataplane.hold_still(false);
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return publisher.publish_splits(generation, kToGreen); }));
}

TEST_F(PublisherTest, ADeadDataplaneHoldsNoSlot) {
  FakeDataplane dataplane(dir.path());
  ASSERT_TRUE(publisher.refresh());
  publish_first();
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return publisher.adoption(true).complete(); }));
  dataplane.die();
  for (uint64_t generation = 2; generation < 300; ++generation) {
    ASSERT_TRUE(publisher.publish_splits(generation, kToGreen)) << generation;
    ASSERT_TRUE(publisher.adoption(publisher.dataplane_running()).complete());
  }
  EXPECT_TRUE(publisher.grace_period_over());
  FakeDataplane next(dir.path());
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return publisher.adopted_generation(true) == 299; }));
}

TEST_F(PublisherTest, FlowsAreSummedOverTheWorkers) {
  FakeDataplane dataplane(dir.path(), 2);
  ASSERT_TRUE(publisher.refresh());
  EXPECT_FALSE(publisher.holds_flows(7));
  dataplane.segment().worker(0).flows[7][1].live = 2;
  dataplane.segment().worker(1).flows[7][1].live = 3;
  dataplane.segment().worker(1).flows[7][1].closing = 1;
  EXPECT_EQ(publisher.flows(7, Colour::kGreen).live, 5u);
  EXPECT_EQ(publisher.flows(7, Colour::kGreen).closing, 1u);
  EXPECT_EQ(publisher.flows(7, Colour::kBlue).live, 0u);
  FlowCount& adopted = dataplane.segment().worker(0).flows[7][1];
  adopted.older_than = 6;
  adopted.older = 1;
  EXPECT_EQ(publisher.draining(7, Colour::kGreen, 6), 1u + 3u) << "worker 1 has not adopted the flip";
  EXPECT_EQ(publisher.draining(7, Colour::kGreen, 8), 5u) << "neither has";
  EXPECT_TRUE(publisher.holds_flows(7));
}

}  // namespace
}  // namespace teal
