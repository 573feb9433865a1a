// SPDX-License-Identifier: Apache-2.0
#include "control/change/rollout.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace teal {
namespace {

constexpr Colour kBlue = Colour::kBlue;
constexpr Colour kGreen = Colour::kGreen;
using Verb = RolloutRequest::Verb;

const std::vector<GroupConfig> kGroups = {{"shop", {"a", "b", "c"}}, {"fresh", {"c"}}};

// a: blue, by a flip in generation 12; a flip back would undo it. b: green, by a flip in generation 9, and
// blue in generation 7. c: blue, nothing to undo; added after generation 7. d: blue, its green pool takes
// nothing.
RolloutView view() {
  RolloutService a{.name = "a", .id = 0, .active = kBlue, .undo = Undo{kGreen, 12}, .flip_generation = 12};
  a.flip_back_undoes = true;
  RolloutService b{.name = "b", .id = 1, .active = kGreen, .undo = Undo{kBlue, 9}, .flip_generation = 9};
  b.back_then = kBlue;
  RolloutService c{.name = "c", .id = 2};
  c.added_after = 7;
  c.back_then = kGreen;
  RolloutService d{.name = "d", .id = 3};
  d.takes_flows = {true, false};
  return {.services = {a, b, c, d}, .groups = kGroups};
}

RolloutRequest flip(std::vector<std::string> services, Colour to) {
  return {.verb = Verb::kFlip, .what = {services, {}}, .to = to, .to_generation = {}};
}
RolloutRequest rollback(std::vector<std::string> services) {
  return {.verb = Verb::kRollback, .what = {services, {}}, .to_generation = {}};
}

// "a:blue>green b:green>blue,undoes9 | c"; a "!" behind the colour: a rollback undoes it
std::string shown(const tl::expected<RolloutPlan, Refusal>& plan) {
  if (!plan) return fmt::format("{} {}", plan.error().status, plan.error().code);
  std::string text;
  for (const ColourChange& change : plan->changes)
    text += fmt::format("{}:{}>{}{}{} ", change.name, kColourNames[static_cast<size_t>(change.from)],
                        kColourNames[static_cast<size_t>(change.to)], change.is_release ? "!" : "",
                        change.undoes ? fmt::format(",undoes{}", *change.undoes) : "");
  text += "|";
  for (const std::string& name : plan->unchanged) text += " " + name;
  if (!plan->nothing_to_undo.empty()) text += " nothing: " + listed(plan->nothing_to_undo);
  if (!plan->added_since.empty()) text += " added: " + listed(plan->added_since);
  if (plan->flipped_later) text += " later: " + *plan->flipped_later;
  return text;
}

TEST(Rollout, WhatOneCommandMovesTakesTheSameSteps) {
  const RampPlan slow{.steps = {100, kShareOne}, .every = std::chrono::minutes(5)};
  const RampPlan fast{.steps = {5000, kShareOne}, .every = std::chrono::seconds(1)};
  RolloutView shop = view();
  shop.services.resize(3);
  const auto [a, b, c] = std::tie(shop.services[0], shop.services[1], shop.services[2]);
  b = {.name = "b", .id = 1, .rollout = slow};
  c.rollout = fast;
  for (const bool is_ramp : {false, true}) {
    RolloutRequest request = flip({"a", "b", "c"}, kGreen);
    if (is_ramp) request.verb = Verb::kRamp;
    const auto plan = plan_rollout(request, shop);
    ASSERT_TRUE(plan) << plan.error().message;
    ASSERT_EQ(plan->changes.size(), 3u);
    for (const ColourChange& change : plan->changes) {
      ASSERT_TRUE(change.ramp) << change.name;
      EXPECT_EQ(change.ramp->plan, slow) << change.name;
    }
    EXPECT_EQ(steps_are_shared(*plan),
              "what one command moves is judged as one, so the steps of b are those of a, c, too");
  }
  RolloutRequest named = flip({"a", "b", "c"}, kGreen);
  named.verb = Verb::kRamp;
  named.ramp.steps = {2000, kShareOne};
  const auto as_named = plan_rollout(named, shop);
  ASSERT_TRUE(as_named);
  EXPECT_EQ(steps_are_shared(*as_named), "") << "the request has the steps";
  RolloutView ramping = shop;
  ramping.services[1].ramp = Ramp{.id = 11, .plan = slow};
  ramping.services[2].rollout.reset();
  const auto others = plan_rollout(flip({"a", "b", "c"}, kGreen), ramping);
  ASSERT_TRUE(others);
  EXPECT_EQ(steps_are_shared(*others), "") << "b does not move, so nothing follows it";
  EXPECT_EQ(others->changes.size(), 2u);

  RolloutRequest now = flip({"a", "b", "c"}, kGreen);
  now.now = true;
  const auto plan = plan_rollout(now, shop);
  ASSERT_TRUE(plan);
  for (const ColourChange& change : plan->changes) EXPECT_FALSE(change.ramp) << change.name;
  EXPECT_EQ(steps_are_shared(*plan), "");
}

struct Case {
  const char* name;
  RolloutRequest request;
  const char* expected;
};

TEST(Rollout, TableOfRequests) {
  RolloutRequest group_flip = flip({}, kGreen);
  group_flip.what.group = "shop";
  RolloutRequest group_rollback = rollback({});
  group_rollback.what.group = "shop";
  RolloutRequest fresh_rollback = rollback({});
  fresh_rollback.what.group = "fresh";
  RolloutRequest unknown_group = flip({}, kGreen);
  unknown_group.what.group = "shoe";
  RolloutRequest both = flip({"a"}, kGreen);
  both.what.group = "shop";
  RolloutRequest back_then = rollback({}), back_then_one = rollback({"b"}), nobody = rollback({});
  back_then.to_generation = back_then_one.to_generation = nobody.to_generation = 7;
  back_then.what.all = true;
  RolloutRequest everybody = rollback({}), all_and_one = back_then_one;
  everybody.what.all = all_and_one.what.all = true;
  RolloutRequest seen_all = rollback({"a", "b"}), seen_nine = rollback({"a", "b"}),
                 seen_nothing = rollback({"c"});
  seen_all.seen_generation = 12;
  seen_nine.seen_generation = 11;
  seen_nothing.seen_generation = 0;
  const Case cases[] = {
      {"flip of one", flip({"c"}, kGreen), "c:blue>green! |"},
      {"flip of several", flip({"a", "c"}, kGreen), "a:blue>green! c:blue>green! |"},
      {"a flip back that is a release of its own", flip({"b"}, kBlue), "b:green>blue! |"},
      {"a flip to where it is changes nothing", flip({"b"}, kGreen), "| b"},
      {"some change, some do not", flip({"b", "c"}, kGreen), "c:blue>green! | b"},
      {"a name twice counts once", flip({"c", "c"}, kGreen), "c:blue>green! |"},
      {"flip of a group", group_flip, "a:blue>green! c:blue>green! | b"},
      {"rollback undoes the latest flip", rollback({"a"}), "a:blue>green,undoes12 |"},
      {"rollback of several", rollback({"a", "b"}), "a:blue>green,undoes12 b:green>blue,undoes9 |"},
      {"nothing to undo", rollback({"c"}), "| c nothing: c"},
      {"one has nothing to undo", rollback({"a", "c"}), "a:blue>green,undoes12 | c nothing: c"},
      {"each of a group undoes its own", group_rollback,
       "a:blue>green,undoes12 b:green>blue,undoes9 | c nothing: c"},
      {"a group with nothing to undo", fresh_rollback, "| c nothing: c"},
      {"the latest flip was seen", seen_all, "a:blue>green,undoes12 b:green>blue,undoes9 |"},
      {"a flip is later than what was seen", seen_nine,
       "a:blue>green,undoes12 b:green>blue,undoes9 | later: a"},
      {"what has nothing to undo has no later flip", seen_nothing, "| c nothing: c"},
      {"unknown service", flip({"a", "x"}, kGreen), "404 unknown_service"},
      {"unknown group", unknown_group, "404 unknown_group"},
      {"neither services nor group", flip({}, kGreen), "400 bad_request"},
      {"services and group", both, "400 bad_request"},
      {"to a generation: all services as they were then", back_then, "b:green>blue,undoes9 | a c d added: c"},
      {"to a generation, one service", back_then_one, "b:green>blue,undoes9 |"},
      {"to a generation, of nobody", nobody, "400 bad_request"},
      {"all services without a generation", everybody, "400 bad_request"},
      {"all services and one", all_and_one, "400 bad_request"},
      {"a pool that takes nothing", flip({"c", "d"}, kGreen), "422 refused"},
      {"from a pool that takes nothing", flip({"d"}, kBlue), "| d"},
  };
  for (const Case& test : cases)
    EXPECT_EQ(shown(plan_rollout(test.request, view())), test.expected) << test.name;
}

TEST(Rollout, UnknownNamesAreAnsweredWithThoseThereAre) {
  EXPECT_EQ(plan_rollout(flip({"x"}, kGreen), view()).error().message,
            "unknown service \"x\"; the services are: a, b, c, d");
  RolloutRequest request = flip({}, kGreen);
  request.what.group = "shoe";
  EXPECT_EQ(plan_rollout(request, view()).error().message,
            "unknown group \"shoe\"; the groups are: shop, fresh");
}

TEST(Rollout, AFlipBackUndoesWithinAnHourOrWhileItsColourHasFlows) {
  constexpr int64_t kHour = 3'600'000;
  ServiceState service{
      .id = 0, .active = kGreen, .previous = kBlue, .flip_generation = 5, .flipped_at_ms = 1};
  EXPECT_FALSE(flip_back_undoes(service, true, 1)) << "nothing to undo";
  service.undo = Undo{kBlue, 5};
  EXPECT_TRUE(flip_back_undoes(service, false, kHour + 1));
  EXPECT_FALSE(flip_back_undoes(service, false, kHour + 2));
  EXPECT_TRUE(flip_back_undoes(service, true, 100 * kHour));
}

TEST(Rollout, ColoursBeforeAreThoseThatTheOldestLaterFlipLeft) {
  const auto splits = colours_before({R"([{"service":"a","from":"blue","to":"green"}])",
                                      R"([{"service":"a","from":"green","to":"blue"},)"
                                      R"({"service":"b","from":"blue","to":"green"}])",
                                      "no JSON"});
  EXPECT_EQ(splits.at("a"), kGreen);
  EXPECT_EQ(splits.at("b"), kBlue);
  EXPECT_EQ(splits.size(), 2u);
}

TEST(Rollout, LongListsAreCutShort) {
  std::vector<std::string> names;
  names.reserve(12);
  for (int i = 0; i < 12; ++i) names.push_back(std::to_string(i));
  EXPECT_EQ(listed(names), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
}

}  // namespace
}  // namespace teal
