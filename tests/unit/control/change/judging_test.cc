// SPDX-License-Identifier: Apache-2.0
//
// Tests what teald does by itself when the counters of flows say that a new colour is bad.
#include "control/change/judging.h"
#include "tests/unit/control/change/ramp_fixture.h"

namespace teal {
namespace {

using namespace std::chrono_literals;
using OldColour = FlipJudge::OldColour;

TEST_F(JudgingTest, AGreenThatRefusesIsRolledBackAfterAFullFlip) {
  flip_after_good_flows();
  green_serves(1s, 80);
  EXPECT_EQ(active(), kBlue);
  EXPECT_EQ(latest().verb, "rollback");
  EXPECT_TRUE(latest().actor.is_teald());
  EXPECT_EQ(nlohmann::json::parse(told("evidence"))["signal"], "refused") << "the event `judged`";
  EXPECT_TRUE(latest().reason.starts_with("service-a: green is bad: ")) << latest().reason;
  EXPECT_NE(latest().changes.find("\"evidence\":{\"service\":\"service-a\",\"signal\":\"refused\""),
            std::string::npos)
      << latest().changes;
  const Finding* finding = teald->trials.latest("service-a");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->verdict.judgement, Judgement::kBad);
}

TEST_F(JudgingTest, AGoodGreenStays) {
  flip_after_good_flows();
  green_serves(119s, 0);
  EXPECT_TRUE(teald->trials.view_of(0));
  green_serves(2s, 0);
  EXPECT_EQ(active(), kGreen);
  EXPECT_FALSE(teald->trials.view_of(0)) << "the bake is over";
  green_serves(5s, 80);
  EXPECT_EQ(active(), kGreen) << "nothing is judged after the bake";
}

TEST_F(JudgingTest, AGroupGoesBackInOnePublication) {
  serve_good_flows({0, 1});
  RolloutRequest request{.verb = Verb::kFlip, .what = {{}, "shop"}, .to = kGreen};
  ASSERT_TRUE(teald->run(teald->verbs.roll(std::move(request), {})));
  const uint64_t flipped = teald->executor.generation();
  for (int i = 0; i < 10; ++i) {
    count(kGreen, 80, 0, 0);
    count(kGreen, 80, 80, 1);
    clock.advance(100ms);
    judge();
  }
  EXPECT_EQ(active("service-a"), kBlue) << "its own flows are good";
  EXPECT_EQ(active("service-b"), kBlue);
  EXPECT_EQ(teald->executor.generation(), flipped + 1);
}

TEST_F(JudgingTest, ABadGreenLosesItsShareDuringARamp) {
  ASSERT_TRUE(ramp());
  judge();
  for (int i = 0; i < 10; ++i) {
    count(kBlue, 800);
    green_serves(100ms, 40);
  }
  EXPECT_EQ(share(), 0);
  EXPECT_FALSE(service("service-a").ramp);
  EXPECT_EQ(latest().verb, "rollback");
  EXPECT_TRUE(latest().reason.starts_with("service-a: green is bad: ")) << latest().reason;
}

TEST_F(JudgingTest, ARampWithACommonOutageGoesOn) {
  ASSERT_TRUE(ramp());
  judge();
  for (int i = 0; i < 50; ++i) {
    count(kBlue, 800, 400);
    green_serves(100ms, 40);
  }
  EXPECT_EQ(share(), 500);
}

TEST_F(JudgingTest, OnBadPauseStopsTheRampAtItsShare) {
  write_rules("on_bad = \"pause\"");
  ASSERT_TRUE(reload());
  ASSERT_TRUE(ramp());
  judge();
  green_serves(1s, 80);
  EXPECT_EQ(share(), 500);
  ASSERT_TRUE(service("service-a").ramp->paused);
  EXPECT_TRUE(service("service-a").ramp->paused->starts_with("service-a: green is bad: "));
  ASSERT_TRUE(resume());
  green_serves(1s, 0);
  EXPECT_FALSE(service("service-a").ramp->paused) << "after the resume, it is judged anew";
  green_serves(1s, 80);
  EXPECT_TRUE(service("service-a").ramp->paused);
}

TEST_F(JudgingTest, ARampThatIsResumedBeforeTheNextLookIsJudgedAnew) {
  write_rules("on_bad = \"pause\"");
  ASSERT_TRUE(reload());
  ASSERT_TRUE(ramp());
  judge();
  for (int i = 0; i < 10 && !service("service-a").ramp->paused; ++i) green_serves(100ms, 80);
  ASSERT_TRUE(service("service-a").ramp->paused);
  ASSERT_TRUE(resume());
  green_serves(1s, 80);
  EXPECT_TRUE(service("service-a").ramp->paused);
}

TEST_F(JudgingTest, OnBadTellTellsOnceAndMovesNothing) {
  write_rules("on_bad = \"tell\"");
  ASSERT_TRUE(reload());
  flip_after_good_flows();
  green_serves(2s, 80);
  EXPECT_EQ(active(), kGreen);
  EXPECT_EQ(take_events(), "judged");
  EXPECT_EQ(told("action"), "\"nothing\"");
}

TEST_F(JudgingTest, OnBadTellTellsOnceDuringARampToo) {
  write_rules("on_bad = \"tell\"");
  ASSERT_TRUE(reload());
  ASSERT_TRUE(ramp());
  take_events();
  green_serves(2s, 80);
  EXPECT_EQ(share(), 500);
  EXPECT_EQ(take_events(), "judged");
}

TEST_F(JudgingTest, TheHighestShareOfAGroupCounts) {
  ASSERT_TRUE(ramp({{}, "shop"}));
  judge();
  ASSERT_TRUE(roll(Verb::kNext));  // service-a alone
  // At 25 %, a fifth of all failures is no evidence. At 5 %, it would be.
  for (int i = 0; i < 20; ++i) {
    count(kBlue, 320, 320, 1);
    count(kGreen, 80, 80, 1);
    clock.advance(100ms);
    judge();
  }
  EXPECT_EQ(share(1), 500);
}

TEST_F(JudgingTest, TealDoesNotMoveToAColourThatIsAsSick) {
  flip_after_good_flows();
  teald->old_colour = OldColour::kSick;
  green_serves(1s, 80);
  EXPECT_EQ(active(), kGreen);
  EXPECT_EQ(told("judgement"), "\"both_sick\"");
  EXPECT_NE(told("text").find("blue is sick, too"), std::string::npos);
}

TEST_F(JudgingTest, AnOldColourWithoutABackendThatCanServeGetsNoFlows) {
  flip_after_good_flows();
  for (const BackendState& backend : teald->executor.catalogue().inventory().backends)
    if (backend.id < 2)
      teald->hop_states.set(backend.id, {.problem = HopProblem::kNoRoute,
                                         .ifindex = 1,
                                         .neighbour = backend.socket.address,
                                         .since = clock.now()});
  green_serves(1s, 80);
  EXPECT_EQ(active(), kGreen);
  EXPECT_EQ(take_events(), "judged");
  EXPECT_EQ(told("action"), "\"refused\"");
}

TEST_F(JudgingTest, TealGoesBackAsSoonAsTheOldColourCanServe) {
  flip_after_good_flows();
  const uint16_t first = 0, second = 1;  // blue
  for (const uint16_t id : {first, second})
    teald->hop_states.set(
        id, {.problem = HopProblem::kNoRoute, .ifindex = 1, .neighbour = {}, .since = clock.now()});
  green_serves(1s, 80);
  ASSERT_EQ(active(), kGreen);
  for (const uint16_t id : {first, second})
    teald->hop_states.set(
        id, {.problem = HopProblem::kNone, .ifindex = 1, .neighbour = {}, .since = clock.now()});
  green_serves(2s, 80);
  EXPECT_EQ(active(), kBlue);
}

TEST_F(JudgingTest, AnOutageThatWasForgivenCountsForNoTrialThatBeginsAgain) {
  flip_after_good_flows();
  teald->old_colour = OldColour::kSick;
  green_serves(1s, 80);
  ASSERT_EQ(active(), kGreen);
  const auto counted = teald->counted;
  start_teald();
  teald->counted = counted;
  teald->old_colour = OldColour::kGood;
  green_serves(5s, 0);
  EXPECT_EQ(active(), kGreen);
}

TEST_F(JudgingTest, ABakeThatIsOverNeverBeginsAgain) {
  flip_after_good_flows();
  green_serves(121s, 0);
  ASSERT_FALSE(teald->trials.is_baking(service("service-a")));
  write_rules("bake = \"1h\"");
  ASSERT_TRUE(reload());
  green_serves(1s, 80);
  EXPECT_EQ(active(), kGreen);
  EXPECT_FALSE(teald->trials.is_baking(service("service-a")));
}

TEST_F(JudgingTest, ALostSegmentMakesNoBakeLonger) {
  flip_after_good_flows();
  ASSERT_TRUE(set_drain(10s, DrainConfig::Then::kWait))
      << "a new segment does not tell when an older flip was";
  clock.advance(60s);
  dataplane.reset();
  lose_segment();
  start_dataplane();
  ASSERT_TRUE(follow());
  judge();
  ASSERT_TRUE(teald->trials.view_of(0));
  EXPECT_NEAR(*teald->trials.view_of(0)->bake_seconds_left, 60, 2);
}

TEST_F(JudgingTest, CountersOfOtherWorkersAreNoEvidence) {
  flip_after_good_flows();
  green_serves(1s, 0);
  (*dataplane)->segment().header().dataplane_epoch.fetch_add(1);  // it runs with more workers
  count(kGreen, 80'000, 80'000);                                  // what they counted weeks ago
  judge();
  green_serves(1s, 0);
  EXPECT_EQ(active(), kGreen);
}

TEST_F(JudgingTest, ABadColourGetsNoGreaterShareWhileTealCannotGoBack) {
  ASSERT_TRUE(ramp());
  judge();
  for (const uint16_t id : {uint16_t{0}, uint16_t{1}})
    teald->hop_states.set(
        id, {.problem = HopProblem::kNoRoute, .ifindex = 1, .neighbour = {}, .since = clock.now()});
  green_serves(2s, 80);
  ASSERT_EQ(share(), 500);
  pass(30s);
  EXPECT_EQ(share(), 500);
}

TEST_F(JudgingTest, APhaseIsBakingFromTheFlipOn) {
  flip_after_good_flows();
  EXPECT_TRUE(teald->trials.is_baking(service("service-a")));
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_FALSE(teald->trials.is_baking(service("service-a")));
}

TEST_F(JudgingTest, AnOldColourThatIsWellTakesTheFlowsBack) {
  flip_after_good_flows();
  teald->old_colour = OldColour::kGood;
  green_serves(1s, 80);
  EXPECT_EQ(active(), kBlue);
}

TEST_F(JudgingTest, ALockHoldsUpNoAutomaticRollback) {
  flip_after_good_flows();
  ASSERT_TRUE(lock());
  green_serves(1s, 80);
  EXPECT_EQ(active(), kBlue);
}

TEST_F(JudgingTest, AFullDiskHoldsUpNoAutomaticRollback) {
  flip_after_good_flows();
  break_disk();
  green_serves(1s, 80);
  EXPECT_EQ(active(), kBlue);
  repair_disk();
}

TEST_F(JudgingTest, AWayBackIsNotJudged) {
  flip_after_good_flows();
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_FALSE(teald->trials.view_of(0));
  judge();
  EXPECT_FALSE(teald->trials.view_of(0));
}

TEST_F(JudgingTest, TheFlowsThatAreLeftAreResetAfterTheTimeoutOfTheRollback) {
  write_rules("after_rollback = \"reset\"\nafter_rollback_timeout = \"3s\"");
  ASSERT_TRUE(reload());
  flip_after_good_flows();
  green_serves(1s, 80);
  EXPECT_EQ(service("service-a").drain_then, DrainConfig::Then::kReset);
  EXPECT_EQ(service("service-a").drain_timeout, std::optional<std::chrono::milliseconds>(3s));
}

TEST_F(JudgingTest, ARestartedTealdGoesOnWithTheBake) {
  flip_after_good_flows();
  const auto counted = teald->counted;
  start_teald();
  teald->counted = counted;
  judge();
  ASSERT_TRUE(teald->trials.view_of(0));
  EXPECT_NE(teald->trials.view_of(0)->verdict.judgement, Judgement::kNoBaseline);
  green_serves(1s, 80);
  EXPECT_EQ(active(), kBlue);
}

TEST_F(JudgingTest, AJumpOfTheWallClockMovesNoBakeAndNoStep) {
  flip_after_good_flows();
  for (const int64_t jump : {-86'400'000, 86'400'000}) {
    clock.wall_jump_ms = jump;
    judge();
    ASSERT_TRUE(teald->trials.view_of(0));
    EXPECT_NEAR(*teald->trials.view_of(0)->bake_seconds_left, 120, 1);
  }
  green_serves(1s, 80);
  EXPECT_EQ(active(), kBlue) << "green is judged all the same";
  ASSERT_TRUE(ramp());
  judge();
  clock.wall_jump_ms = -86'400'000;
  pass(5s);
  EXPECT_EQ(share(), 500) << "the step lasts 10 s";
  pass(6s);
  EXPECT_EQ(share(), 2500);
}

TEST_F(JudgingTest, AStepWaitsForAHundredFlows) {
  write_with("on_few = \"go\"", "on_few = \"wait\"");
  ASSERT_TRUE(reload());
  ASSERT_TRUE(ramp());
  judge();
  pass(30s);
  EXPECT_EQ(share(), 500);
  count(kGreen, 104);
  judge();
  pass(1s);
  EXPECT_EQ(share(), 2500);
}

TEST_F(JudgingTest, AStepWithFewFlowsPausesTheRampIfTheConfigSaysSo) {
  write_with("on_few = \"go\"", "on_few = \"pause\"");
  ASSERT_TRUE(reload());
  ASSERT_TRUE(ramp());
  judge();
  pass(11s);
  EXPECT_EQ(share(), 500);
  ASSERT_TRUE(service("service-a").ramp->paused);
  EXPECT_EQ(*service("service-a").ramp->paused, "the step is over, with fewer than 100 new flows");
}

TEST_F(JudgingTest, ADryRunTellsTheBakeAndWhatTealDoesIfTheColourIsBad) {
  const Result dry = flip("service-a", kGreen, {.dry_run = true});
  ASSERT_TRUE(dry);
  EXPECT_EQ(dry->fields["judged"].dump(),
            R"([{"service":"service-a","bake_seconds":120.0,"on_bad":"rollback"}])");
}

TEST_F(JudgingTest, CountersThatBeginAgainAreNoEvidence) {
  flip_after_good_flows();
  green_serves(1s, 0);
  teald->counted.clear();  // another segment
  green_serves(300ms, 0);
  EXPECT_EQ(active(), kGreen);
}

// 985 of 1,000 first answers came within 1,024 us, and 99 % within 262,144 us.
TEST_F(JudgingTest, InARampSlowIsLongerThan99PercentOfTheOldColoursFlows) {
  serve_good_flows({0});
  teald->answer_times[TimeHistogram::bucket_of(900)] = 985;
  teald->answer_times[TimeHistogram::bucket_of(140'000)] = 10;
  teald->answer_times[TimeHistogram::bucket_of(800'000)] = 5;
  ASSERT_TRUE(ramp());
  EXPECT_EQ(split().slow_us, 262'144u);
  start_teald();
  EXPECT_EQ(split().slow_us, 262'144u) << "a restart keeps it";
  pass(21s);
  EXPECT_EQ(active(), kGreen);
  EXPECT_EQ(split().slow_us, 0u) << "after the last step it is 1 s";
}

}  // namespace
}  // namespace teal
