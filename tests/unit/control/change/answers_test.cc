// SPDX-License-Identifier: Apache-2.0
//
// Tests which answer Teal gives to a bad colour, and what the metrics say then.
#include <sstream>

#include "control/change/judging.h"
#include "control/metrics/rollout_metrics.h"
#include "tests/unit/control/change/ramp_fixture.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

TEST_F(JudgingTest, TheMostCarefulServiceOfARolloutDecides) {
  write_with("name = \"service-a\"\n", "name = \"service-a\"\nrollout = { on_bad = \"tell\" }\n");
  ASSERT_TRUE(reload());
  serve_good_flows({0, 1});
  RolloutRequest request{.verb = Verb::kFlip, .what = {{"service-a", "service-b"}, {}}, .to = kGreen};
  ASSERT_TRUE(teald->run(teald->verbs.roll(std::move(request), {})));
  judge();
  green_serves(1s, 80);
  EXPECT_EQ(active("service-a"), kBlue) << "service-a alone would only be told of";
  EXPECT_EQ(active("service-b"), kBlue);
}

TEST_F(JudgingTest, AReloadThatAsksForMoreThanWasDoneIsFollowed) {
  write_rules("on_bad = \"tell\"");
  ASSERT_TRUE(reload());
  flip_after_good_flows();
  green_serves(1s, 80);
  EXPECT_EQ(active(), kGreen);
  write_rules("on_bad = \"rollback\"");
  ASSERT_TRUE(reload());
  green_serves(500ms, 80);
  EXPECT_EQ(active(), kBlue);
}

TEST_F(JudgingTest, ARampThatEndsBeforeTheAnswerIsTakenBack) {
  ASSERT_TRUE(ramp());
  const uint64_t id = service("service-a").ramp->id;
  const Finding finding{.rollout = id, .services = {"service-a"}, .worst = "service-a", .is_of_ramp = true};
  EXPECT_EQ(still_on(finding, teald->executor.catalogue()), std::vector<std::string>{"service-a"});
  ASSERT_TRUE(roll(Verb::kNext));
  ASSERT_TRUE(roll(Verb::kNext));
  ASSERT_FALSE(service("service-a").ramp);
  EXPECT_EQ(still_on(finding, teald->executor.catalogue()), std::vector<std::string>{"service-a"});
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_TRUE(still_on(finding, teald->executor.catalogue()).empty()) << "an operator was faster";
  ASSERT_TRUE(flip("service-a", kGreen));
  EXPECT_TRUE(still_on(finding, teald->executor.catalogue()).empty()) << "another rollout";
}

TEST_F(JudgingTest, TheMetricsSayWhatWasFoundAndDone) {
  const auto metrics = [this] {
    std::ostringstream text;
    write_rollouts(text, teald->executor.catalogue(), teald->trials, teald->publisher);
    return std::move(text).str();
  };
  flip_after_good_flows();
  EXPECT_EQ(metrics().find("teal_rollout_finding_timestamp_seconds{"), std::string::npos);
  green_serves(1s, 80);
  EXPECT_NE(metrics().find("teal_rollout_finding_timestamp_seconds{service=\"service-a\",colour=\"green\","
                           "judgement=\"bad\",action=\"rollback\"} 17"),
            std::string::npos)
      << metrics();
}

}  // namespace
}  // namespace teal
