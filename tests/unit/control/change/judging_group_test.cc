// SPDX-License-Identifier: Apache-2.0
//
// Tests how Teal judges services that one command moved: one bad service rolls all of these services back.
#include <fstream>

#include "tests/unit/control/change/ramp_fixture.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

class JudgingGroupTest : public JudgingTest {
 protected:
  // Gives the services of the group "shop" these rules.
  void give_rules(const std::string& of_a, const std::string& of_b) {
    std::string toml = kShopToml;
    const auto add = [&](const std::string& after, const std::string& rules) {
      if (rules.empty()) return;
      toml.insert(toml.find(after) + after.size(), "rollout = { " + rules + " }\n");
    };
    add("green = [\"198.18.2.21:8080\"]\n", of_a);
    add("green = [\"[fd18:2::21]:8080\"]\n", of_b);
    std::ofstream(dir.file("teal.toml")) << toml;
    ASSERT_TRUE(reload());
  }
  Result flip_shop(ChangeOptions options = {}) {
    RolloutRequest request{.verb = Verb::kFlip, .what = {{}, "shop"}, .to = kGreen};
    return teald->run(teald->verbs.roll(std::move(request), std::move(options)));
  }
  void flip_shop_after_good_flows() {
    serve_good_flows({0, 1});
    ASSERT_TRUE(flip_shop());
    judge();
    take_events();
  }
  // Green of both services gets 80 flows each 100 ms. Each flow that these services get fails.
  void green_fails(std::chrono::milliseconds time, bool of_a, bool of_b) {
    for (std::chrono::milliseconds i{0}; i < time; i += 100ms) {
      count(kGreen, 80, of_a ? 80 : 0, 0);
      count(kGreen, 80, of_b ? 80 : 0, 1);
      clock.advance(100ms);
      judge();
    }
  }
  std::string judged_by(const Result& dry) { return dry ? dry->fields["judged"].dump() : "refused"; }
};

TEST_F(JudgingGroupTest, AMemberWithoutABakeGoesBackWithItsGroup) {
  give_rules("", "bake = \"0s\"");
  flip_shop_after_good_flows();
  EXPECT_FALSE(teald->trials.is_baking(service("service-b")));
  const uint64_t flipped = teald->executor.generation();
  green_fails(1s, true, false);
  EXPECT_EQ(active("service-a"), kBlue);
  EXPECT_EQ(active("service-b"), kBlue);
  EXPECT_EQ(teald->executor.generation(), flipped + 1) << "one publication";
  ASSERT_NE(teald->trials.latest("service-b"), nullptr);
  EXPECT_EQ(teald->trials.latest("service-b")->worst, "service-a");
}

TEST_F(JudgingGroupTest, AMemberWithoutABakeIsNotJudged) {
  give_rules("", "bake = \"0s\"");
  flip_shop_after_good_flows();
  green_fails(5s, false, true);
  EXPECT_EQ(active("service-a"), kGreen);
  EXPECT_EQ(active("service-b"), kGreen);
}

TEST_F(JudgingGroupTest, AMemberWithoutABakeStaysWhereAnOperatorMovedIt) {
  give_rules("", "bake = \"0s\"");
  flip_shop_after_good_flows();
  ASSERT_TRUE(rollback("service-b"));
  const uint64_t moved = service("service-b").flip_generation;
  green_fails(1s, true, false);
  EXPECT_EQ(active("service-a"), kBlue);
  EXPECT_EQ(active("service-b"), kBlue);
  EXPECT_EQ(service("service-b").flip_generation, moved);
}

TEST_F(JudgingGroupTest, AMemberWithoutABakeGoesBackAfterARestartToo) {
  give_rules("", "bake = \"0s\"");
  flip_shop_after_good_flows();
  const auto counted = teald->counted;
  start_teald();
  teald->counted = counted;
  green_fails(1s, true, false);
  EXPECT_EQ(active("service-a"), kBlue);
  EXPECT_EQ(active("service-b"), kBlue);
}

TEST_F(JudgingGroupTest, ANewReleaseForgetsTheFindingAboutAMemberWithoutABake) {
  give_rules("", "bake = \"0s\"");
  flip_shop_after_good_flows();
  green_fails(1s, true, false);
  ASSERT_NE(teald->trials.latest("service-b"), nullptr);
  ASSERT_TRUE(flip("service-b", kGreen));
  judge();
  EXPECT_EQ(teald->trials.latest("service-b"), nullptr);
  EXPECT_NE(teald->trials.latest("service-a"), nullptr);
}

// The group has the longest bake and the most careful on_bad of its members.
TEST_F(JudgingGroupTest, ADryRunTellsWhatIsInForceForTheGroup) {
  give_rules("bake = \"1m\", on_bad = \"tell\"", "bake = \"5m\", on_bad = \"pause\"");
  EXPECT_EQ(judged_by(flip_shop({.dry_run = true})),
            R"([{"service":"service-a","bake_seconds":300.0,"on_bad":"pause"},)"
            R"({"service":"service-b","bake_seconds":300.0,"on_bad":"pause"}])");
  EXPECT_EQ(judged_by(flip("service-a", kGreen, {.dry_run = true})),
            R"([{"service":"service-a","bake_seconds":60.0,"on_bad":"tell"}])")
      << "alone, a service has its own rules";
}

TEST_F(JudgingGroupTest, ADryRunTellsThatAMemberWithoutABakeIsNotJudgedAfterTheFlip) {
  give_rules("bake = \"1m\", on_bad = \"tell\"", "bake = \"0s\", on_bad = \"rollback\"");
  EXPECT_EQ(judged_by(flip_shop({.dry_run = true})),
            R"([{"service":"service-a","bake_seconds":60.0,"on_bad":"rollback"},)"
            R"({"service":"service-b","bake_seconds":0.0,"on_bad":"rollback"}])");
  flip_shop_after_good_flows();
  green_fails(1s, true, false);
  EXPECT_EQ(active("service-a"), kBlue) << "as the dry run said";
}

TEST_F(JudgingGroupTest, ADryRunOfAStepTellsWhatIsInForceForAllMembersOfTheRamp) {
  give_rules("bake = \"1m\", on_bad = \"tell\"", "bake = \"5m\"");
  ASSERT_TRUE(ramp({{}, "shop"}));
  EXPECT_EQ(judged_by(roll(Verb::kNext, {{"service-a"}, {}}, {}, {.dry_run = true})),
            R"([{"service":"service-a","bake_seconds":300.0,"on_bad":"rollback"}])");
}

}  // namespace
}  // namespace teal
