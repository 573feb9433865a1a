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

// a: blue, flipped before (from green). b: green, flipped before. c: blue, never flipped. d: blue, its green
// pool takes nothing.
RolloutView view() {
  return {.services = {{"a", 0, kBlue, kGreen},
                       {"b", 1, kGreen, kBlue, {true, true}, kBlue},
                       {"c", 2, kBlue, std::nullopt},
                       {"d", 3, kBlue, std::nullopt, {true, false}}},
          .groups = kGroups};
}

RolloutRequest flip(std::vector<std::string> services, Colour to) {
  return {.verb = Verb::kFlip, .what = {services, {}}, .to = to, .to_generation = {}};
}
RolloutRequest rollback(std::vector<std::string> services) {
  return {.verb = Verb::kRollback, .what = {services, {}}, .to_generation = {}};
}

// "a:blue>green b:green>blue | c"
std::string shown(const tl::expected<RolloutPlan, Refusal>& plan) {
  if (!plan) return fmt::format("{} {}", plan.error().status, plan.error().code);
  std::string text;
  for (const ColourChange& change : plan->changes)
    text += fmt::format("{}:{}>{} ", change.name, kColourNames[static_cast<size_t>(change.from)],
                        kColourNames[static_cast<size_t>(change.to)]);
  text += "|";
  for (const std::string& name : plan->unchanged) text += " " + name;
  return text;
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
  RolloutRequest back_then = rollback({}), back_then_one = rollback({"b"});
  back_then.to_generation = back_then_one.to_generation = 7;
  const Case cases[] = {
      {"flip of one", flip({"a"}, kGreen), "a:blue>green |"},
      {"flip of several", flip({"a", "c"}, kGreen), "a:blue>green c:blue>green |"},
      {"a flip to where it is changes nothing", flip({"b"}, kGreen), "| b"},
      {"some change, some do not", flip({"b", "a"}, kGreen), "a:blue>green | b"},
      {"a name twice counts once", flip({"a", "a"}, kGreen), "a:blue>green |"},
      {"flip of a group", group_flip, "a:blue>green c:blue>green | b"},
      {"rollback goes to the previous colour", rollback({"a"}), "a:blue>green |"},
      {"rollback of several", rollback({"a", "b"}), "a:blue>green b:green>blue |"},
      {"rollback of one never flipped", rollback({"c"}), "409 nothing_to_roll_back"},
      {"all or nothing", rollback({"a", "c"}), "409 nothing_to_roll_back"},
      {"in a group, one never flipped stays", group_rollback, "a:blue>green b:green>blue | c"},
      {"a group of which none was flipped", fresh_rollback, "409 nothing_to_roll_back"},
      {"unknown service", flip({"a", "x"}, kGreen), "404 unknown_service"},
      {"unknown group", unknown_group, "404 unknown_group"},
      {"neither services nor group", flip({}, kGreen), "400 bad_request"},
      {"services and group", both, "400 bad_request"},
      {"to a generation: all services as they were then", back_then, "b:green>blue | a c d"},
      {"to a generation, one service", back_then_one, "b:green>blue |"},
      {"a pool that takes nothing", flip({"a", "d"}, kGreen), "422 refused"},
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
  for (int i = 0; i < 12; ++i) names.push_back(std::to_string(i));
  EXPECT_EQ(listed(names), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
}

}  // namespace
}  // namespace teal
