// SPDX-License-Identifier: Apache-2.0
//
// Tests ramps: their steps, their ways back, and what a restart leaves of them.
#include "control/change/ramp.h"
#include "control/change/rollout_phase.h"

#include "tests/unit/control/change/ramp_fixture.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

TEST_F(RampTest, EachStepRaisesTheShareAndTheLastOneIsAFlip) {
  const Result begun = ramp();
  ASSERT_TRUE(begun);
  EXPECT_EQ(changed(begun), R"([{"service":"service-a","colour":"green","share":{"from":"0%","to":"5%"}}])");
  EXPECT_EQ(share(), 500);
  EXPECT_EQ(split().active, kBlue);
  EXPECT_EQ(service("service-a").ramp->id, begun->generation);
  pass(9s);
  EXPECT_EQ(share(), 500);
  pass(2s);  // the time counts from upkeep's first look
  EXPECT_EQ(share(), 2500);
  EXPECT_EQ(latest().verb, "step");
  EXPECT_TRUE(latest().actor.is_teald());
  EXPECT_EQ(split().drain_ticks, 0u) << "no flip yet";
  pass(11s);
  EXPECT_EQ(split().active, kGreen);
  EXPECT_EQ(share(), 0);
  EXPECT_EQ(latest().changes, R"([{"service":"service-a","from":"blue","to":"green","colour":"green",)"
                              R"("share":{"from":"25%","to":"100%"}}])");
  EXPECT_FALSE(service("service-a").ramp);
  EXPECT_EQ(service("service-a").undo, (Undo{kBlue, service("service-a").flip_generation}));
}

TEST_F(RampTest, AnAbortTakesTheShareBackAndBeginsADrain) {
  ASSERT_TRUE(ramp());
  set_flows(2, kGreen, 4);  // the green backend
  const Result aborted = roll(Verb::kAbort);
  ASSERT_TRUE(aborted);
  EXPECT_EQ(changed(aborted),
            R"([{"service":"service-a","to":"blue","colour":"green","share":{"from":"5%","to":"0%"}}])");
  EXPECT_EQ(share(), 0);
  EXPECT_EQ(split().active, kBlue);
  EXPECT_EQ(split().previous, kBlue) << "packets without an entry belong to blue";
  EXPECT_EQ(split().flip_generation, aborted->generation) << "older green flows drain, or are cut";
  EXPECT_EQ(service("service-a").undo, std::nullopt);
  const Result again = roll(Verb::kAbort);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->fields["unchanged"].dump(), R"(["service-a"])");
}

TEST_F(RampTest, ARollbackDuringARampIsAnAbort) {
  ASSERT_TRUE(flip("service-a", kGreen));
  ASSERT_TRUE(rollback("service-a"));
  ASSERT_TRUE(ramp());
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_EQ(share(), 0);
  EXPECT_EQ(split().active, kBlue);
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_EQ(split().active, kBlue) << "a second one does nothing";
}

// A release to green was rolled out an hour ago; the next one goes to blue, step by step, and fails.
TEST_F(RampTest, ARollbackAfterAnAbortDoesNotReturnToTheAbandonedColour) {
  ASSERT_TRUE(flip("service-a", kGreen));
  clock.advance(2h);
  RolloutRequest request{.verb = Verb::kRamp, .what = {{"service-a"}, {}}, .to = kBlue};
  request.ramp = {.steps = {500, kShareOne}, .every = 10s, .manual = {}};
  ASSERT_TRUE(teald->run(teald->verbs.roll(std::move(request), {})));
  ASSERT_TRUE(roll(Verb::kAbort));
  const Result back = rollback("service-a");
  ASSERT_TRUE(back);
  EXPECT_EQ(split().active, kGreen);
  EXPECT_EQ(share(), 0);
}

TEST_F(RampTest, AFlipToItsColourCompletesItAndAFlipToTheActiveColourAbortsIt) {
  ASSERT_TRUE(ramp());
  ASSERT_TRUE(flip("service-a", kBlue));
  EXPECT_EQ(share(), 0);
  EXPECT_EQ(split().active, kBlue);
  ASSERT_TRUE(ramp());
  ASSERT_TRUE(flip("service-a", kGreen));
  EXPECT_EQ(share(), 0);
  EXPECT_EQ(split().active, kGreen);
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_EQ(split().active, kBlue);
}

TEST_F(RampTest, ASecondRampIsAConflict) {
  const Result first = ramp();
  const Result second = ramp();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, "conflict");
  EXPECT_EQ(second.error().message,
            "service \"service-a\" has a ramp to green since generation 2, now at 5%; nothing was changed");
}

TEST_F(RampTest, APauseKeepsTheShareAndAResumeGivesTheStepItsWholeTimeAgain) {
  ASSERT_TRUE(ramp());
  pass(9s);
  ASSERT_TRUE(pause("a look at the logs"));
  EXPECT_EQ(service("service-a").ramp->paused, "a look at the logs");
  pass(30s);
  EXPECT_EQ(share(), 500);
  ASSERT_TRUE(resume());
  pass(9s);
  EXPECT_EQ(share(), 500);
  pass(2s);
  EXPECT_EQ(share(), 2500);
}

TEST_F(RampTest, NextBeginsTheNextStepAndEndsAPause) {
  ASSERT_TRUE(ramp());
  ASSERT_TRUE(pause(""));
  ASSERT_TRUE(roll(Verb::kNext));
  EXPECT_EQ(share(), 2500);
  EXPECT_EQ(service("service-a").ramp->paused, std::nullopt);
  ASSERT_TRUE(roll(Verb::kNext));
  EXPECT_EQ(split().active, kGreen);
  const Result none = roll(Verb::kNext);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->fields["unchanged"].dump(), R"(["service-a"])");
}

TEST_F(RampTest, AManualRampWaitsForNext) {
  ASSERT_TRUE(
      roll(Verb::kRamp, {{"service-a"}, {}}, {.steps = {500, kShareOne}, .every = 1s, .manual = true}));
  pass(60s);
  EXPECT_EQ(share(), 500);
}

TEST_F(RampTest, TheMembersOfAGroupTakeEachStepInOnePublication) {
  ASSERT_TRUE(ramp({{}, "shop"}));
  take_events();
  pass(11s);
  EXPECT_EQ(take_events(), "intended published adopted done");
  EXPECT_EQ(share(0), 2500);
  EXPECT_EQ(share(1), 2500);
}

TEST_F(RampTest, ALockHoldsItsStepsAndUnlockGivesThemTheirWholeTime) {
  ASSERT_TRUE(ramp());
  ASSERT_TRUE(lock({.reason = "freeze"}));
  pass(30s);
  EXPECT_EQ(share(), 500);
  ASSERT_TRUE(unlock());
  pass(9s);
  EXPECT_EQ(share(), 500);
  pass(2s);
  EXPECT_EQ(share(), 2500);
}

TEST_F(RampTest, StepsWaitForADataplane) {
  ASSERT_TRUE(ramp());
  dataplane->die();
  pass(30s);
  EXPECT_EQ(service("service-a").ramp->step, 0u);
}

TEST_F(RampTest, AStepNeedsTheDiskAndAnAbortDoesNot) {
  ASSERT_TRUE(ramp());
  break_disk();
  pass(11s);
  EXPECT_EQ(share(), 500);
  const Result aborted = roll(Verb::kAbort);
  ASSERT_TRUE(aborted);
  EXPECT_FALSE(aborted->recorded);
  EXPECT_EQ(share(), 0);
  repair_disk();
  tidy();
  start_teald();
  EXPECT_FALSE(service("service-a").ramp);
  EXPECT_EQ(share(), 0);
}

TEST_F(RampTest, ARestartKeepsTheShareAndGivesTheStepItsWholeTimeAgain) {
  ASSERT_TRUE(ramp());
  pass(11s);
  ASSERT_EQ(share(), 2500);
  pass(9s);
  start_teald();
  EXPECT_EQ(share(), 2500);
  pass(9s);
  EXPECT_EQ(share(), 2500);
  EXPECT_EQ(split().active, kBlue);
  pass(2s);
  EXPECT_EQ(split().active, kGreen);
}

TEST_F(RampTest, AnAbortThatIsNotOnDiskIsInForceAfterARestart) {
  ASSERT_TRUE(ramp());
  break_disk();
  ASSERT_TRUE(roll(Verb::kAbort));
  repair_disk();
  teald.reset();  // as after a kill: the journal is gone
  start_teald();
  EXPECT_EQ(share(), 0);
  EXPECT_FALSE(service("service-a").ramp);
}

TEST_F(RampTest, TheLastBackendOfItsColourCannotBeTakenOut) {
  ASSERT_TRUE(ramp());
  BackendRequest request{.service = "service-a", .colour = kGreen, .address = tcp("198.18.2.21:8080")};
  request.state = AdminState::kDrain;
  const Result refused = teald->run(teald->verbs.set_backend(std::move(request), {}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "198.18.2.21:8080 is the last backend that takes new flows of green, the colour of a ramp of "
            "service \"service-a\"");
}

TEST_F(RampTest, AFlipFollowsTheStepsOfTheConfigUnlessItGoesBack) {
  give_steps_to_service_a(", every = \"5s\"");
  ASSERT_TRUE(flip("service-a", kGreen));
  EXPECT_EQ(share(), 1000);
  const Result again = flip("service-a", kGreen);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->fields["unchanged"].dump(), R"(["service-a"])") << "the same command again";
  EXPECT_EQ(again->fields["on_a_ramp"].dump(), R"(["service-a"])");
  EXPECT_EQ(share(), 1000);
  pass(6s);
  EXPECT_EQ(split().active, kGreen);
  ASSERT_TRUE(flip("service-a", kBlue));
  EXPECT_EQ(split().active, kBlue) << "at once: it undoes the release";
  RolloutRequest now{.verb = Verb::kFlip, .what = {{"service-a"}, {}}, .to = kGreen};
  now.now = true;
  ASSERT_TRUE(teald->run(teald->verbs.roll(std::move(now), {})));
  EXPECT_EQ(split().active, kGreen);
}

TEST_F(RampTest, ARequestForAManualRampTakesTheStepsOfTheConfig) {
  give_steps_to_service_a(", every = \"5s\"");
  ASSERT_TRUE(roll(Verb::kRamp, {{"service-a"}, {}}, {.steps = {}, .every = {}, .manual = true}));
  pass(60s);
  EXPECT_EQ(share(), 1000);
}

TEST_F(RampTest, AStepThatCannotReachItsColourPausesThatRampAlone) {
  ASSERT_TRUE(ramp());
  ASSERT_TRUE(ramp({{"service-b"}, {}}));
  const auto& backends = teald->executor.catalogue().inventory().backends;
  const auto dead = std::find_if(backends.begin(), backends.end(), [](const BackendState& backend) {
    return backend.socket == tcp("198.18.2.21:8080");
  });
  teald->hop_states.set(dead->id, {.problem = HopProblem::kNoRoute, .ifindex = 1, .since = clock.now()});
  pass(11s);
  EXPECT_EQ(service("service-a").ramp->paused,
            "nothing was changed: no green backend of service-a can be reached");
  EXPECT_EQ(share(0), 500);
  EXPECT_EQ(share(1), 2500);
}

TEST_F(RampTest, ARollbackDoesNotAbortARampThatItsSenderHasNotSeen) {
  const Result begun = ramp();
  RolloutRequest request{.verb = Verb::kRollback, .what = {{"service-a"}, {}}};
  request.seen_generation = begun->generation - 1;
  const Result refused = teald->run(teald->verbs.roll(std::move(request), {}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "conflict");
  EXPECT_EQ(share(), 500);
}

TEST_F(RampTest, TheHintOfATimeoutNamesTheWayBackOfRampsAndFlips) {
  give_steps_to_service_a();
  ASSERT_TRUE(ramp({{"service-b"}, {}}));  // a plain flip ends this ramp
  clock.on_sleep = [] {};
  const Result mixed = roll(Verb::kFlip, {{}, "shop"});
  ASSERT_FALSE(mixed);
  EXPECT_NE(mixed.error().hint.find("teal rollback service-a service-b undoes"), std::string::npos)
      << mixed.error().hint;
  dataplane->step();
}

TEST_F(RampTest, TheHintOfATimeoutNamesTheWayBackOfTheWholeGroup) {
  give_steps_to_service_a();
  clock.on_sleep = [] {};
  const Result ramp = roll(Verb::kFlip, {{}, "shop"});
  ASSERT_FALSE(ramp);
  EXPECT_NE(ramp.error().hint.find("teal abort service-a service-b undoes"), std::string::npos)
      << ramp.error().hint;
  dataplane->step();
}

TEST_F(RampTest, ADrainEndsWithItsLastOlderFlowWhileTheIdleColourTakesNewFlows) {
  const auto flipped = flip("service-a", kGreen);
  ASSERT_TRUE(flipped);
  set_flows(0, kBlue, 3);
  tidy();
  RolloutRequest request{.verb = Verb::kRamp, .what = {{"service-a"}, {}}, .to = kBlue};
  request.ramp = {.steps = {500, kShareOne}, .every = 10s, .manual = {}};
  const auto drain = [&] {
    const Catalogue& catalogue = teald->executor.catalogue();
    return drain_of(*catalogue.find("service-a"), catalogue, teald->publisher, teald->upkeep.trends(), clock);
  };
  EXPECT_TRUE(drain());
  ASSERT_TRUE(teald->run(teald->verbs.roll(std::move(request), {})));
  FlowCount& count = (*dataplane)->segment().worker(0).flows[0][0];
  count.older_than = static_cast<uint32_t>(flipped->generation);  // as a worker that has adopted the flip
  count.older = 2;
  count.live = 9;  // 7 by the ramp
  ASSERT_TRUE(drain());
  EXPECT_EQ(drain()->flows, 2u);
  EXPECT_EQ(drain()->flip_generation, flipped->generation);
  tidy();
  count.older = 0;
  EXPECT_FALSE(drain());
  take_events();
  tidy();
  EXPECT_EQ(take_events(), "drained");
  EXPECT_EQ(share(), 500) << "the ramp goes on";
}

// A reload, a drain, a backend and a preview are changes of other things.
TEST_F(RampTest, OtherChangesLeaveItsShare) {
  ASSERT_TRUE(ramp());
  write_with("198.18.2.13:8080", "198.18.2.33:8080");
  ASSERT_TRUE(reload());
  EXPECT_EQ(share(), 500) << "after a reload";
  ASSERT_TRUE(set_drain(90s, DrainConfig::Then::kReset));
  EXPECT_EQ(share(), 500) << "after a change of the drain";
  ASSERT_TRUE(set_backend("198.18.2.12:8080", AdminState::kDrain));
  EXPECT_EQ(share(), 500) << "after a change of a backend";
  PreviewRequest request{.service = "service-a", .clients = {*parse_prefix("198.18.7.0/24")}};
  ASSERT_TRUE(teald->run(teald->verbs.set_preview(std::move(request), {})));
  EXPECT_EQ(share(), 500) << "after a preview";
  ASSERT_TRUE(flip("service-b", kGreen));
  EXPECT_EQ(share(), 500) << "after a flip of another service";
  pass(11s);
  EXPECT_EQ(share(), 2500) << "the ramp goes on";
}

TEST_F(RampTest, AnAbortAndALastStepTellTheDrainsThatTheyBegin) {
  ASSERT_TRUE(ramp());
  set_flows(2, kGreen, 4);
  const Result aborted = roll(Verb::kAbort);
  ASSERT_TRUE(aborted);
  ASSERT_EQ(aborted->fields["drains"].size(), 1u) << aborted->fields["drains"];
  EXPECT_EQ(aborted->fields["drains"][0]["colour"], "green");
  EXPECT_EQ(aborted->fields["drains"][0]["flows"], 4);
  set_flows(2, kGreen, 0);
  set_flows(0, kBlue, 3);
  ASSERT_TRUE(ramp());
  ASSERT_TRUE(roll(Verb::kNext));
  const Result last = roll(Verb::kNext);
  ASSERT_TRUE(last);
  ASSERT_EQ(last->fields["drains"].size(), 1u) << last->fields["drains"];
  EXPECT_EQ(last->fields["drains"][0]["colour"], "blue");
  EXPECT_EQ(last->fields["drains"][0]["flows"], 3);
}

// Steady, then each phase in its turn.
TEST_F(JudgingTest, ThePhaseFollowsTheRollout) {
  const auto phase = [this] {
    const Catalogue& catalogue = teald->executor.catalogue();
    const CatalogueService& known = *catalogue.find("service-a");
    const ServiceState& state = catalogue.state(known);
    return std::string(name_of(phase_of(state, teald->trials, is_draining(known, state, teald->publisher))));
  };
  serve_good_flows({0});
  EXPECT_EQ(phase(), "steady");
  ASSERT_TRUE(ramp());
  EXPECT_EQ(phase(), "ramping");
  ASSERT_TRUE(pause("logs"));
  EXPECT_EQ(phase(), "paused");
  set_flows(2, kGreen, 4);
  ASSERT_TRUE(roll(Verb::kAbort));
  judge();
  EXPECT_EQ(phase(), "draining");
  set_flows(2, kGreen, 0);
  EXPECT_EQ(phase(), "steady");
  set_flows(0, kBlue, 3);
  ASSERT_TRUE(flip("service-a", kGreen));
  judge();
  EXPECT_EQ(phase(), "baking");
  green_serves(121s, 0);
  EXPECT_EQ(phase(), "draining");
}

}  // namespace
}  // namespace teal
