// SPDX-License-Identifier: Apache-2.0
//
// A flip waits for the hook pre_flip, and so does the begin of a ramp.
#include <unistd.h>

#include "tests/unit/control/change/change_fixture.h"

namespace teal {
namespace {

using Verb = RolloutRequest::Verb;

class PreFlipTest : public ChangeFixture {
 protected:
  PreFlipTest() {
    write_with("on_few = \"go\"",
               "on_few = \"go\"\nhooks = { pre_flip = { command = [\"/usr/lib/teal/pre\", \"arg\"] } }");
    start_dataplane();
    start();
  }
  void start() {
    start_teald();
    teald->verbs.run_hooks_with([this](std::vector<HookJob> jobs) -> Task<std::vector<HookEnd>> {
      asked.insert(asked.end(), jobs.begin(), jobs.end());
      co_await meanwhile();
      std::vector<HookEnd> ends(jobs.size(), end);
      co_return ends;
    });
  }
  Result roll(RolloutRequest request, ChangeOptions options = {}) {
    return teald->run(teald->verbs.roll(std::move(request), std::move(options)));
  }
  Result ramp(const std::string& service) {
    return roll({.verb = Verb::kRamp,
                 .what = {{service}, {}},
                 .to = Colour::kGreen,
                 .ramp = {.steps = {500, kShareOne}, .every = {}, .manual = true}});
  }

  // Another request, while a hook runs.
  Task<void> roll_back_meanwhile(std::string name) {
    RolloutRequest request{.verb = Verb::kRollback, .what = {{std::move(name)}, {}}};
    ChangeOptions options;
    const Result back = co_await teald->verbs.roll(std::move(request), std::move(options));
    EXPECT_TRUE(back) << "while the hook runs";
    if (back) warned = back->warnings;
  }

  std::vector<HookJob> asked;
  std::vector<std::string> warned;  // by that request
  HookEnd end{HookOutcome::kPassed, ""};
  std::function<Task<void>()> meanwhile = []() -> Task<void> { co_return; };
};

TEST_F(PreFlipTest, DelaysAFlipAndLetsItPass) {
  meanwhile = [this]() -> Task<void> {
    EXPECT_EQ(service("service-a").active, Colour::kBlue) << "not before the hook";
    co_return;
  };
  const Result flipped = flip("service-a", Colour::kGreen, {.reason = "release 42"});
  ASSERT_TRUE(flipped) << flipped.error().message;
  EXPECT_EQ(service("service-a").active, Colour::kGreen);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].run.command, (std::vector<std::string>{"/usr/lib/teal/pre", "arg"}));
  const auto input = nlohmann::json::parse(asked[0].input);
  EXPECT_EQ(input["reason"], "release 42");
  EXPECT_EQ(input["services"][0]["to"], "green");
  EXPECT_EQ(flipped->fields["pre_flip"][0]["command"], "/usr/lib/teal/pre") << "arguments may be secret";
}

TEST_F(PreFlipTest, ARefusalSaysWhy) {
  end = HookEnd(HookOutcome::kFailed, "the command ended with exit code 3: no such release");
  take_events();
  const Result refused = flip("service-a", Colour::kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 422u);
  EXPECT_EQ(refused.error().code, "refused");
  EXPECT_EQ(refused.error().message, "nothing was changed: the hook pre_flip refuses service-a");
  EXPECT_EQ(
      refused.error().details,
      std::vector<std::string>{"service-a: pre_flip /usr/lib/teal/pre: the command ended with exit code 3: "
                               "no such release"});
  EXPECT_EQ(service("service-a").active, Colour::kBlue);
  EXPECT_EQ(take_events(), "") << "nothing was intended";
  EXPECT_FALSE(ramp("service-a"));
}

TEST_F(PreFlipTest, WithoutATealHealthAFlipIsRefused) {
  teald->verbs.run_hooks_with(run_no_hooks);
  const Result refused = flip("service-a", Colour::kGreen);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().details.at(0).find("no teal-health answers"), std::string::npos);
}

TEST_F(PreFlipTest, ARefusalListsAllReasons) {
  ASSERT_TRUE(set_backend("198.18.2.12:8080", AdminState::kReady));
  for (const BackendState& backend : teald->executor.catalogue().inventory().backends)
    if (to_string(backend.socket) == "198.18.2.21:8080")
      teald->hop_states.set(backend.id, {.problem = HopProblem::kNoRoute,
                                         .ifindex = 999'999,
                                         .neighbour = backend.socket.address,
                                         .since = clock.now(),
                                         .dataplane_pid = static_cast<uint32_t>(::getpid())});
  end = HookEnd(HookOutcome::kFailed, "not today");
  const Result refused = flip("service-a", Colour::kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "nothing was changed: no green backend of service-a can be reached; the hook pre_flip refuses "
            "service-a");
  EXPECT_EQ(refused.error().details,
            (std::vector<std::string>{"service-a/green/198.18.2.21:8080: no route",
                                      "service-a: pre_flip /usr/lib/teal/pre: not today"}));
  asked.clear();
  const Result forced =
      roll({.verb = Verb::kFlip, .what = {{"service-a"}, {}}, .to = Colour::kGreen, .force = true},
           {.reason = "must"});
  ASSERT_TRUE(forced) << forced.error().message;
  EXPECT_TRUE(asked.empty()) << "force waits for nobody";
  const auto changes = nlohmann::json::parse(latest().changes);
  EXPECT_EQ(changes[0]["forced"], nlohmann::json::parse(R"(["reach","pre_flip"])")) << changes;
}

TEST_F(PreFlipTest, TheWayBackAndLaterStepsRunNoHook) {
  ASSERT_TRUE(ramp("service-a"));
  EXPECT_EQ(asked.size(), 1u) << "the begin of the ramp";
  end = HookEnd(HookOutcome::kFailed, "no");
  ASSERT_TRUE(roll({.verb = Verb::kAbort, .what = {{"service-a"}, {}}}));
  end = HookEnd(HookOutcome::kPassed, "");
  ASSERT_TRUE(ramp("service-a"));
  end = HookEnd(HookOutcome::kFailed, "no");
  ASSERT_TRUE(roll({.verb = Verb::kNext, .what = {{"service-a"}, {}}}));
  EXPECT_EQ(service("service-a").active, Colour::kGreen);
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_EQ(asked.size(), 2u);
  EXPECT_FALSE(flip("service-a", Colour::kGreen)) << "a flip after the rollback is a release";
}

TEST_F(PreFlipTest, AFlipBackThatUndoesAFlipRunsNoHook) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  end = HookEnd(HookOutcome::kFailed, "no");
  EXPECT_TRUE(flip("service-a", Colour::kBlue));
  EXPECT_EQ(asked.size(), 1u);
}

TEST_F(PreFlipTest, ADryRunNamesTheHookAndRunsNone) {
  const Result dry = flip("service-a", Colour::kGreen, {.dry_run = true});
  ASSERT_TRUE(dry);
  EXPECT_TRUE(asked.empty());
  EXPECT_EQ(dry->fields["pre_flip"].dump(),
            R"([{"services":["service-a"],"command":"/usr/lib/teal/pre","timeout_seconds":30.0}])");
}

TEST_F(PreFlipTest, AGroupIsRefusedAsOne) {
  end = HookEnd(HookOutcome::kFailed, "no");
  EXPECT_FALSE(roll({.verb = Verb::kFlip, .what = {{}, "shop"}, .to = Colour::kGreen}));
  ASSERT_EQ(asked.size(), 1u) << "one run of one command";
  EXPECT_EQ(asked[0].services, (std::vector<std::string>{"service-a", "service-b"}));
  EXPECT_EQ(service("service-b").active, Colour::kBlue);
}

TEST_F(PreFlipTest, ARollbackDoesNotWaitForAHookOfAnotherFlip) {
  ASSERT_TRUE(flip("service-b", Colour::kGreen));
  meanwhile = [this] { return roll_back_meanwhile("service-b"); };
  EXPECT_TRUE(flip("service-a", Colour::kGreen));
  EXPECT_EQ(service("service-b").active, Colour::kBlue);
}

TEST_F(PreFlipTest, AChangeWhileTheHookRunsIsAConflict) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  // The flip of the group is about service-b alone at first.
  meanwhile = [this] { return roll_back_meanwhile("service-a"); };
  const Result refused = roll({.verb = Verb::kFlip, .what = {{}, "shop"}, .to = Colour::kGreen});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "conflict");
  EXPECT_EQ(service("service-a").active, Colour::kBlue);
  EXPECT_EQ(service("service-b").active, Colour::kBlue);
}

TEST_F(PreFlipTest, ARequestThatIsRefusedAnywayRunsNoHook) {
  EXPECT_FALSE(flip("service-a", Colour::kGreen, {.if_generation = 999}));
  ASSERT_TRUE(lock({.reason = "audit"}));
  const Result refused = flip("service-a", Colour::kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "locked");
  EXPECT_TRUE(asked.empty());
}

TEST_F(PreFlipTest, ARepeatedRequestRunsNoHook) {
  const ChangeOptions options{.request = RequestId{"deploy-42", 7}};
  ASSERT_TRUE(flip("service-a", Colour::kGreen, options));
  ASSERT_TRUE(rollback("service-a"));
  ASSERT_TRUE(flip("service-a", Colour::kGreen, options)) << "the first answer";
  EXPECT_EQ(asked.size(), 1u);
  EXPECT_EQ(service("service-a").active, Colour::kBlue);
}

// A rollback would otherwise move everybody to the colour of the release, by an older flip.
TEST_F(PreFlipTest, ARollbackThatCallsOffAFlipLeavesTheServiceWhereItIs) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  clock.advance(std::chrono::hours(2));  // now a flip to blue is a release
  meanwhile = [this]() -> Task<void> {
    co_await roll_back_meanwhile("service-a");
    co_await roll_back_meanwhile("service-a");  // another operator, at the same moment
  };
  EXPECT_FALSE(flip("service-a", Colour::kBlue));
  EXPECT_EQ(service("service-a").active, Colour::kGreen);
}

TEST_F(PreFlipTest, AReleaseWhoseClientIsGoneHoldsNoRollbackUp) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  clock.advance(std::chrono::hours(2));
  bool is_gone = false;
  meanwhile = [&]() -> Task<void> {
    is_gone = true;  // Ctrl-C
    return roll_back_meanwhile("service-a");
  };
  ChangeOptions options;
  options.client_is_gone = [&] { return is_gone; };
  EXPECT_FALSE(flip("service-a", Colour::kBlue, options));
  EXPECT_EQ(service("service-a").active, Colour::kBlue) << "by the rollback";
}

TEST_F(PreFlipTest, AWayBackThatIsRefusedCallsNothingOff) {
  meanwhile = [this]() -> Task<void> {
    RolloutRequest request{.verb = Verb::kRollback, .what = {{"service-a"}, {}}};
    ChangeOptions options{.if_revision = 999};
    EXPECT_FALSE(co_await teald->verbs.roll(std::move(request), std::move(options)));
  };
  EXPECT_TRUE(flip("service-a", Colour::kGreen));
}

// The operator who goes back would otherwise see "nothing to undo", and the flip a moment later.
TEST_F(PreFlipTest, ARollbackCallsOffAFlipThatWaits) {
  meanwhile = [this]() -> Task<void> {
    const WaitingReleases::Release* waiting = teald->verbs.waiting_releases().of("service-a");
    EXPECT_TRUE(waiting != nullptr && waiting->to == Colour::kGreen && waiting->user == "root");
    EXPECT_EQ(teald->verbs.waiting_releases().of("service-b"), nullptr);
    co_await roll_back_meanwhile("service-a");
    EXPECT_EQ(teald->verbs.waiting_releases().of("service-a"), nullptr);
  };
  const Result refused = flip("service-a", Colour::kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "conflict");
  EXPECT_EQ(refused.error().message, "nothing was changed: root went back while the hook pre_flip ran");
  EXPECT_EQ(service("service-a").active, Colour::kBlue);
  ASSERT_EQ(warned.size(), 1u);
  EXPECT_EQ(warned[0],
            "the release of service-a to green by root, which waits for its hook pre_flip, is called off");
}

}  // namespace
}  // namespace teal
