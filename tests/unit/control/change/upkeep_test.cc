// SPDX-License-Identifier: Apache-2.0
//
// Tests the changes that upkeep makes, with a clock that the tests set.
#include "control/change/upkeep.h"

#include "tests/unit/control/change/change_fixture.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

class UpkeepTest : public ChangeFixture {
 protected:
  uint64_t published() { return (*dataplane)->generation(); }
};

// --- the segment ---

TEST_F(UpkeepTest, ANewSegmentGetsEverything) {
  start_teald();
  EXPECT_EQ(take_events(), "") << "there is no segment";
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  take_events();
  start_dataplane();
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events(), "published adopted done");
  EXPECT_EQ(told("reason"), "\"a new segment\"");
  EXPECT_EQ(latest().verb, "publish");
  EXPECT_EQ(published(), 2u) << "above the generation in the database";
  EXPECT_EQ(dataplane->acknowledged(), 2u);
  EXPECT_EQ((*dataplane)->splits().services[0].active, Colour::kGreen);
  EXPECT_NE((*dataplane)->ruleset().find_service(tcp("198.18.0.10:80")), kNoId);
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events(), "");
}

TEST_F(UpkeepTest, AStartPublishesOnlyWhatDiffers) {
  start_dataplane();
  start_teald();
  take_events();
  start_teald();
  EXPECT_EQ(take_events(), "");
  EXPECT_EQ(published(), 1u);
  EXPECT_EQ(dataplane->acknowledged(), 1u);
  write_with("198.18.2.13:8080", "198.18.2.33:8080");
  start_teald();
  EXPECT_EQ(take_events(), "published adopted done");
  EXPECT_EQ(told("reason"), "\"a start of teald\"");
}

TEST_F(UpkeepTest, AnAdoptionThatComesAfterItsChangeGaveUpIsAcknowledged) {
  start_dataplane();
  start_teald();
  clock.on_sleep = [] {};
  EXPECT_FALSE(flip("service-a", Colour::kGreen)) << "the worker stalls";
  ASSERT_TRUE(follow());
  EXPECT_EQ(dataplane->acknowledged(), 1u);
  dataplane->step();
  ASSERT_TRUE(follow());
  EXPECT_EQ(dataplane->acknowledged(), 2u);
}

TEST_F(UpkeepTest, AnAdoptionThatTheLastTealdDidNotSeeIsAcknowledgedByTheNext) {
  start_dataplane();
  start_teald();
  clock.on_sleep = [] {};
  EXPECT_FALSE(flip("service-a", Colour::kGreen)) << "the worker stalls";
  EXPECT_EQ(dataplane->acknowledged(), 1u);
  clock.on_sleep = [this] { dataplane->step(); };
  start_teald();
  EXPECT_EQ(dataplane->acknowledged(), 2u);
  EXPECT_EQ(published(), 2u);
}

TEST_F(UpkeepTest, WithoutAFreeSlotItTriesAgain) {
  start_dataplane();
  start_teald();
  take_events();
  clock.on_sleep = [] {};
  write_with("198.18.2.13:8080", "198.18.2.33:8080");
  start_teald();  // all slots but the present one wait for a grace period, which the worker delays
  EXPECT_EQ(take_events(), "failed");
  EXPECT_EQ(latest().result, "not_published");
  EXPECT_EQ(published(), 1u);
  dataplane->step();
  clock.on_sleep = [this] { dataplane->step(); };
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events(), "") << "not at once";
  clock.advance(1s);
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events(), "published adopted done");
  EXPECT_NE((*dataplane)->ruleset().find_backend(tcp("198.18.2.33:8080")), kNoId);
}

// Calls `attempt` ten times a second for five minutes. Returns how many rows the history got.
class UpkeepThatFails : public UpkeepTest {
 protected:
  size_t rows() { return teald->state().history({.service = {}, .limit = 1000, .before = {}})->size(); }
  size_t rows_with(const std::string& verb, const std::string& result) {
    const auto history = teald->state().history({.service = {}, .limit = 1000, .before = {}});
    return static_cast<size_t>(std::count_if(history->begin(), history->end(), [&](const HistoryRow& row) {
      return row.verb == verb && row.result == result;
    }));
  }
  size_t rows_of_five_minutes(const std::function<void()>& attempt) {
    const size_t before = rows();
    for (const Clock::Time end = clock.now() + 5min; clock.now() < end; clock.advance(100ms)) attempt();
    return rows() - before;
  }
  // The worker stalls, and a new teald does not know whether it has passed a grace period: no slot is free.
  void stall() {
    clock.on_sleep = [] {};
    start_teald();
  }
  uint64_t given() { return teald->executor.catalogue().inventory().given_generation; }
};

TEST_F(UpkeepThatFails, TriesAPublicationSeldomAndRecordsOneFailure) {
  start_dataplane();
  start_teald();
  write_with("198.18.2.13:8080", "198.18.2.33:8080");
  stall();
  const uint64_t before = given();
  EXPECT_EQ(rows_of_five_minutes([this] { (void)follow(); }), 0u) << "the start has recorded it";
  EXPECT_GE(given() - before, 6u);
  EXPECT_LE(given() - before, 12u) << "1, 2, 4, ... 60 s apart";
  EXPECT_EQ(published(), 1u);
  dataplane->step();
  clock.on_sleep = [this] { dataplane->step(); };
  clock.advance(60s);
  ASSERT_TRUE(follow());
  EXPECT_EQ(latest().result, "done");
}

// An open intent would hold up the hooks of all later changes.
TEST_F(UpkeepThatFails, TriesAStepAgainWhenASlotIsFreeAndRecordsOneFailure) {
  start_dataplane();
  start_teald();
  RolloutRequest request{
      .verb = RolloutRequest::Verb::kRamp, .what = {{"service-a"}, {}}, .to = Colour::kGreen};
  request.ramp = {.steps = {500, kShareOne}, .every = 1s, .manual = {}};
  ASSERT_TRUE(teald->run(teald->verbs.roll(std::move(request), {})));
  stall();
  for (int i = 0; i < 100; ++i) {
    clock.advance(1s);
    (void)follow();
  }
  EXPECT_EQ(rows_with("step", "not_published"), 1u);
  EXPECT_EQ(rows_with("step", "pending"), 0u);
  EXPECT_EQ(service("service-a").ramp->share(), 500);
  dataplane->step();
  clock.on_sleep = [this] { dataplane->step(); };
  clock.advance(60s);
  ASSERT_TRUE(follow());
  EXPECT_EQ(rows_with("step", "done"), 1u);
}

TEST_F(UpkeepThatFails, TriesAResetSeldomAndRecordsOneFailure) {
  start_dataplane();
  start_teald();
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  set_flows(0, Colour::kBlue, 2);
  ASSERT_TRUE(set_drain(60s, DrainConfig::Then::kReset));
  stall();
  clock.advance(61s);
  const uint64_t before = given();
  EXPECT_EQ(rows_of_five_minutes([this] { (void)follow(); }), 1u);
  EXPECT_LE(given() - before, 12u);
  EXPECT_EQ(latest().verb, "reset");
  EXPECT_EQ(latest().result, "not_published");
}

TEST_F(UpkeepTest, WithoutADiskTheSegmentGetsEverythingAllTheSame) {
  start_teald();
  break_disk();
  start_dataplane();
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events(), "published adopted done");
  EXPECT_EQ(published(), 1u);
}

TEST_F(UpkeepTest, ALockDoesNotStopIt) {
  start_teald();
  ASSERT_TRUE(lock());
  start_dataplane();
  ASSERT_TRUE(follow());
  EXPECT_EQ(published(), 2u) << "the lock has number 1";
}

TEST_F(UpkeepTest, AVerbFindsASegmentThatWasMadeJustNowComplete) {
  start_teald();
  start_dataplane();
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  EXPECT_EQ(published(), 2u) << "everything, then the flip";
  EXPECT_EQ(take_events(), "published adopted done intended published adopted done");
}

// --- drains ---

class UpkeepOfDrains : public UpkeepTest {
 protected:
  UpkeepOfDrains() {
    start_dataplane();
    start_teald();
    EXPECT_TRUE(flip("service-a", Colour::kGreen));
    set_flows(0, Colour::kBlue, 2);
    EXPECT_TRUE(set_drain(60s, DrainConfig::Then::kReset));
    take_events();
  }
  uint32_t reset_before() { return (*dataplane)->splits().services[0].reset_before; }
};

TEST_F(UpkeepOfDrains, AnOverdueDrainIsResetOnce) {
  clock.advance(59s);
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events(), "") << "not yet";
  clock.advance(2s);
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events(), "published adopted done");
  EXPECT_EQ(latest().verb, "reset");
  EXPECT_EQ(latest().reason, "the deadline of the drain is over");
  EXPECT_EQ(reset_before(), service("service-a").flip_generation);
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events(), "");
}

TEST_F(UpkeepOfDrains, ADrainThatWaitsIsNeverReset) {
  ASSERT_TRUE(set_drain(60s, DrainConfig::Then::kWait));
  take_events();
  clock.advance(1h);
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events(), "");
}

TEST_F(UpkeepOfDrains, AResetWaitsForADataplane) {
  clock.advance(61s);
  dataplane->die();
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events(), "");
}

TEST_F(UpkeepOfDrains, AFailedDiskDoesNotStopAReset) {
  clock.advance(61s);
  break_disk();
  ASSERT_TRUE(follow());
  EXPECT_EQ(reset_before(), service("service-a").flip_generation);
}

TEST_F(UpkeepOfDrains, NoneEndsBeforeAStartHasCountedTheFlows) {
  tidy();
  std::atomic<uint64_t>& counted = (*dataplane)->segment().header().counted_epoch;
  const uint64_t epoch = counted.exchange(0);
  set_flows(0, Colour::kBlue, 0);
  tidy();
  EXPECT_EQ(take_events(), "");
  counted = epoch;
  tidy();
  EXPECT_EQ(take_events(), "drained");
}

TEST_F(UpkeepOfDrains, TheEndOfADrainIsToldOnce) {
  tidy();
  set_flows(0, Colour::kBlue, 0);
  tidy();
  EXPECT_EQ(take_events(), "drained");
  EXPECT_EQ(told("drains"), R"(["service-a"])");
  tidy();
  EXPECT_EQ(take_events(), "");
}

// --- the ends of drains ---

class EndsOfDrains : public UpkeepTest {
 protected:
  EndsOfDrains() {
    start_dataplane();
    start_teald();
    take_events();
  }
  // Flips service-a to green in generation 2, with flows of blue.
  void flip_with_flows(uint32_t flows) {
    set_flows(0, Colour::kBlue, flows);
    ASSERT_TRUE(flip("service-a", Colour::kGreen));
    take_events();
  }
};

TEST_F(EndsOfDrains, AFlipWithoutAnyFlowIsDrainedToo) {
  flip_with_flows(0);
  tidy();
  EXPECT_EQ(take_events(), "drained");
  EXPECT_EQ(told("drains"), R"(["service-a"])");
  EXPECT_EQ(told("colour"), "\"blue\"");
  EXPECT_EQ(told("generation"), "2");
  tidy();
  EXPECT_EQ(take_events(), "") << "once";
}

TEST_F(EndsOfDrains, OneEventTellsOfAllDrainsOfAFlip) {
  RolloutRequest shop{.verb = RolloutRequest::Verb::kFlip, .what = {{}, "shop"}, .to = Colour::kGreen};
  ASSERT_TRUE(teald->run(teald->verbs.roll(std::move(shop), {})));
  take_events();
  tidy();
  EXPECT_EQ(take_events(), "drained");
  EXPECT_EQ(told("drains"), R"(["service-a","service-b"])");
  EXPECT_EQ(told("count"), "2");
}

TEST_F(EndsOfDrains, AFlowThatEndsBeforeTheFirstLookIsNotMissed) {
  flip_with_flows(3);
  set_flows(0, Colour::kBlue, 0);
  tidy();
  EXPECT_EQ(take_events(), "drained");
}

TEST_F(EndsOfDrains, AFlipBackEndsTheDrainOfBefore) {
  flip_with_flows(3);
  ASSERT_TRUE(rollback("service-a"));
  take_events();
  tidy();
  EXPECT_EQ(take_events(), "drain_ended drained") << "and green's drain, which has no flows";
  EXPECT_EQ(told("flows"), "3");
  EXPECT_EQ(told("by"), "\"flip\"");
}

TEST_F(EndsOfDrains, AServiceThatLeavesTheConfigEndsItsDrain) {
  set_flows(5, Colour::kBlue, 1);
  ASSERT_TRUE(flip("service-c", Colour::kGreen));
  tidy();
  write_without_service_c();
  ASSERT_TRUE(reload());
  take_events();
  tidy();
  EXPECT_EQ(take_events(), "drain_ended");
  EXPECT_EQ(told("drains"), R"(["service-c"])");
  EXPECT_EQ(told("by"), "\"reload\"");
}

TEST_F(EndsOfDrains, AStartTellsOfDrainsThatEndLater) {
  flip_with_flows(3);
  start_teald();
  take_events();
  tidy();
  set_flows(0, Colour::kBlue, 0);
  tidy();
  EXPECT_EQ(take_events(), "drained");
  start_teald();
  take_events();
  tidy();
  EXPECT_EQ(take_events(), "") << "it had ended before the start";
}

TEST_F(EndsOfDrains, ADrainThatEndsWhileTealdIsDownIsToldAtTheStart) {
  flip_with_flows(3);
  tidy();
  teald.reset();
  set_flows(0, Colour::kBlue, 0);
  start_teald();
  take_events();
  tidy();
  EXPECT_EQ(take_events(), "drained");
  EXPECT_EQ(told("drains"), R"(["service-a"])");
  tidy();
  EXPECT_EQ(take_events(), "") << "once";
}

}  // namespace
}  // namespace teal
