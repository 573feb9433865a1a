// SPDX-License-Identifier: Apache-2.0
//
// A rollback undoes the latest flip, unless it is undone already. It never returns to the abandoned colour.
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "tests/unit/control/change/change_fixture.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

constexpr Colour kBlue = Colour::kBlue;
constexpr Colour kGreen = Colour::kGreen;

class Rollback : public ChangeFixture {
 protected:
  Rollback() {
    start_dataplane();
    start_teald();
  }

  Result roll_back(Selection what) {
    RolloutRequest request{.verb = RolloutRequest::Verb::kRollback, .what = std::move(what)};
    return teald->run(teald->verbs.roll(std::move(request), {}));
  }
  Result roll_back_group(const char* group) { return roll_back({.services = {}, .group = group}); }
  Colour active(const std::string& name) { return service(name).active; }
};

TEST_F(Rollback, ItsAnswerAndTheHistoryNameTheFlipThatItUndid) {
  ASSERT_TRUE(flip("service-a", kGreen));  // generation 2
  const Result back = rollback("service-a");
  ASSERT_TRUE(back);
  const char* const changed = R"([{"service":"service-a","from":"green","to":"blue","undoes":[2]}])";
  EXPECT_EQ(back->fields["changed"].dump(), changed);
  EXPECT_EQ(latest().changes, changed);
}

TEST_F(Rollback, ASecondRollbackUndoesNothingAndPublishesNothing) {
  ASSERT_TRUE(flip("service-a", kGreen));
  ASSERT_TRUE(rollback("service-a"));
  take_events();
  const Result again = rollback("service-a");
  ASSERT_TRUE(again);
  EXPECT_EQ(active("service-a"), kBlue);
  EXPECT_EQ(again->generation, 3u);
  EXPECT_EQ(take_events(), "");
  EXPECT_EQ(again->fields["unchanged"].dump(), R"(["service-a"])");
  const auto& why = again->fields["nothing_to_undo"][0];
  EXPECT_EQ(why["verb"], "rollback");
  EXPECT_EQ(why["generation"], 3);
  EXPECT_EQ(why["text"], "nothing to undo; blue is active since generation 3, a rollback by root");
}

TEST_F(Rollback, OfAServiceThatWasNeverFlippedChangesNothing) {
  const Result never = rollback("service-c");
  ASSERT_TRUE(never);
  EXPECT_EQ(never->fields["nothing_to_undo"][0]["text"],
            "nothing to undo; blue is active, and the service was never flipped");
  EXPECT_EQ(take_events(), "published adopted done") << "of the start";
}

TEST_F(Rollback, WithNothingToUndoNeedsNoDisk) {
  ASSERT_TRUE(flip("service-a", kGreen));
  ASSERT_TRUE(rollback("service-a"));
  break_disk();
  const Result again = rollback("service-a");
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->warnings.empty());
  EXPECT_EQ(again->generation, 3u);
}

TEST_F(Rollback, AGroupAfterOneOfItsMembersStaysOnTheGoodColour) {
  RolloutRequest release{.verb = RolloutRequest::Verb::kFlip, .what = {{}, "shop"}, .to = kGreen};
  ASSERT_TRUE(teald->run(teald->verbs.roll(std::move(release), {})));
  ASSERT_TRUE(rollback("service-b"));
  ASSERT_TRUE(roll_back_group("shop"));
  EXPECT_EQ(active("service-a"), kBlue);
  EXPECT_EQ(active("service-b"), kBlue);
}

TEST_F(Rollback, AfterAFlipBackByHandItDoesNotReturnToTheAbandonedColour) {
  ASSERT_TRUE(flip("service-a", kGreen));
  clock.advance(10min);
  const Result by_hand = flip("service-a", kBlue);
  ASSERT_TRUE(by_hand);
  EXPECT_EQ(by_hand->fields["changed"][0]["undoes"].dump(), "[2]");
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_EQ(active("service-a"), kBlue);
}

TEST_F(Rollback, UndoesAFlipBackThatWasAReleaseOfItsOwn) {
  ASSERT_TRUE(flip("service-a", kGreen));
  clock.advance(72h);
  const Result release = flip("service-a", kBlue);
  ASSERT_TRUE(release);
  EXPECT_FALSE(release->fields["changed"][0].contains("undoes"));
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_EQ(active("service-a"), kGreen);
}

TEST_F(Rollback, AFlipBackDuringALongDrainUndoesTheFlip) {
  ASSERT_TRUE(flip("service-a", kGreen));
  set_flows(0, kBlue, 3);
  clock.advance(72h);
  ASSERT_TRUE(flip("service-a", kBlue));
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_EQ(active("service-a"), kBlue) << "blue never stopped to serve";
}

TEST_F(Rollback, DoesNotUndoAFlipThatItDidNotSee) {
  ASSERT_TRUE(flip("service-a", kGreen));  // generation 2
  ASSERT_TRUE(rollback("service-a"));
  ASSERT_TRUE(flip("service-a", kGreen));  // generation 4, after the operator looked
  RolloutRequest request{.verb = RolloutRequest::Verb::kRollback, .what = {{"service-a"}, {}}};
  request.seen_generation = 3;
  break_disk();  // the answer does not need it
  const Result refused = teald->run(teald->verbs.roll(request, {}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "conflict");
  EXPECT_NE(
      refused.error().message.find("green is active since generation 4, a flip by root, at 2023-11-14T"),
      std::string::npos)
      << refused.error().message;
  EXPECT_EQ(active("service-a"), kGreen);
  request.seen_generation = 4;
  EXPECT_TRUE(teald->run(teald->verbs.roll(request, {})));
  EXPECT_EQ(active("service-a"), kBlue);
}

TEST_F(Rollback, ToAGenerationLeavesServicesThatDidNotExistThen) {
  ASSERT_TRUE(flip("service-a", kGreen));  // generation 2
  write_with("[[group]]",
             "[[service]]\nname = \"new\"\nvip = \"198.18.0.99:80\"\nprotocol = \"tcp\"\n"
             "blue = [\"198.18.2.91:80\"]\ngreen = [\"198.18.2.92:80\"]\n\n[[group]]");
  ASSERT_TRUE(reload());                  // generation 3
  ASSERT_TRUE(flip("new", kGreen));       // generation 4
  ASSERT_TRUE(flip("service-a", kBlue));  // generation 5
  RolloutRequest request{.verb = RolloutRequest::Verb::kRollback, .what = {.services = {}, .all = true}};
  request.to_generation = 2;
  const Result back = teald->run(teald->verbs.roll(request, {}));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(active("service-a"), kGreen);
  EXPECT_EQ(active("new"), kGreen) << "it stays";
  EXPECT_EQ(back->fields["added_since"].dump(), R"(["new"])");
  EXPECT_FALSE(service("service-a").undo);
  request.to_generation = 3;
  const Result later = teald->run(teald->verbs.roll(request, {}));
  ASSERT_TRUE(later) << later.error().message;
  EXPECT_EQ(active("new"), kBlue);
  EXPECT_EQ(later->fields["changed"][0]["undoes"].dump(), "[4]");
}

TEST_F(Rollback, ARestartForgetsNeitherTheFlipNorThatItIsUndone) {
  ASSERT_TRUE(flip("service-a", kGreen));
  ASSERT_TRUE(flip("service-b", kGreen));
  ASSERT_TRUE(rollback("service-b"));
  start_teald();
  ASSERT_TRUE(roll_back_group("shop"));
  EXPECT_EQ(active("service-a"), kBlue);
  EXPECT_EQ(active("service-b"), kBlue);
}

TEST_F(Rollback, ARollbackThatTheDiskMissedIsNotUndoneAfterARestart) {
  ASSERT_TRUE(flip("service-a", kGreen));
  break_disk();
  ASSERT_TRUE(rollback("service-a"));
  repair_disk();
  start_teald();
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_EQ(active("service-a"), kBlue);
}

// The hint of a change that not every worker has adopted names the command that undoes this very change.
TEST_F(Rollback, TheHintOfATimeoutFitsTheVerb) {
  clock.on_sleep = [] {};
  const auto hint = [](const Result& result) { return result ? "" : result.error().hint; };
  const auto named = [](const std::string& way) { return "teal status shows the workers; " + way; };
  EXPECT_EQ(hint(flip("service-a", kGreen)), named("teal rollback service-a undoes the change"));
  EXPECT_EQ(hint(rollback("service-a")), named("teal flip service-a --to green undoes the change"));
  EXPECT_EQ(hint(set_backend("198.18.2.12:8080", AdminState::kDrain)),
            named("teal backend set service-a/blue/198.18.2.12:8080 ready --weight file undoes the change"));
  dataplane->step();
}

// A pool without a backend that takes flows drops each new flow. So even a rollback is refused, and force
// does not help. The refusal names the members of the group that cannot go back, and the commands that help.
TEST_F(Rollback, WhereNoBackendTakesNewFlowsTheRefusalNamesTheMemberAndTheCommandThatHelps) {
  RolloutRequest release{.verb = RolloutRequest::Verb::kFlip, .what = {{}, "shop"}, .to = kGreen};
  ASSERT_TRUE(teald->run(teald->verbs.roll(std::move(release), {})));
  ASSERT_TRUE(set_backend("198.18.2.11:8080", AdminState::kDrain));
  ASSERT_TRUE(set_backend("198.18.2.12:8080", AdminState::kMaint));
  const Result one = rollback("service-a");
  ASSERT_FALSE(one);
  EXPECT_EQ(one.error().status, 422u);
  EXPECT_EQ(one.error().code, "refused");
  EXPECT_EQ(one.error().message,
            "service \"service-a\" has no blue backend that takes new flows (ready, with a weight above 0)");
  EXPECT_EQ(one.error().hint,
            "run `teal backend set service-a/blue/198.18.2.11:8080 ready`, then repeat the command");
  const Result group = roll_back_group("shop");
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().message, one.error().message + "; the other service was not changed either");
  EXPECT_EQ(group.error().hint, one.error().hint);
  EXPECT_EQ(active("service-b"), kGreen);

  RolloutRequest forced{
      .verb = RolloutRequest::Verb::kFlip, .what = {{"service-a"}, {}}, .to = kBlue, .force = true};
  const Result still = teald->run(teald->verbs.roll(std::move(forced), {}));
  ASSERT_FALSE(still);
  EXPECT_EQ(still.error().hint, one.error().hint + "; --force does not pass this gate");

  ASSERT_TRUE(set_backend("198.18.2.11:8080", AdminState::kReady));  // what the hint says
  ASSERT_TRUE(roll_back_group("shop"));
  EXPECT_EQ(active("service-a"), kBlue);
  EXPECT_EQ(active("service-b"), kBlue);
}

TEST_F(Rollback, TheCommandThatHelpsTakesBackAWeightOfZero) {
  ASSERT_TRUE(flip("service-c", kGreen));
  BackendRequest request{.service = "service-c", .colour = kBlue, .address = tcp("198.18.2.13:8080")};
  request.weight = BackendRequest::Weight{0};
  ASSERT_TRUE(teald->run(teald->verbs.set_backend(request, {})));
  const Result refused = rollback("service-c");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().hint,
            "run `teal backend set service-c/blue/198.18.2.13:8080 --weight file`, then repeat the command");
  request.weight = BackendRequest::Weight{};
  ASSERT_TRUE(teald->run(teald->verbs.set_backend(request, {})));
  ASSERT_TRUE(rollback("service-c"));
}

// Another change holds the turn while a flip and then a rollback are requested.
Task<void> request_during_a_change(Teald& teald, RolloutRequest flip, RolloutRequest back) {
  const ChangeExecutor::Turn turn = co_await teald.executor.turn();
  for (RolloutRequest* request : {&flip, &back}) {
    asio::co_spawn(teald.io, teald.verbs.roll(std::move(*request), {}), asio::detached);
    for (int i = 0; i < 10; ++i) co_await asio::post(asio::use_awaitable);  // until it waits for its turn
  }
}

TEST_F(Rollback, GoesBeforeAFlipThatWaitsLonger) {
  ASSERT_TRUE(flip("service-a", kGreen));
  std::vector<std::string> made;
  on_event = [&](const std::string& type) {
    if (type == "published") made.push_back(told("verb"));
  };
  RolloutRequest forward{.verb = RolloutRequest::Verb::kFlip, .what = {{"service-b"}, {}}, .to = kGreen},
      back{.verb = RolloutRequest::Verb::kRollback, .what = {{"service-a"}, {}}};
  teald->run(request_during_a_change(*teald, std::move(forward), std::move(back)));
  EXPECT_EQ(made, (std::vector<std::string>{"\"rollback\"", "\"flip\""}));
}

}  // namespace
}  // namespace teal
