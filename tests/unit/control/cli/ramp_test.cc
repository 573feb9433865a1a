// SPDX-License-Identifier: Apache-2.0
//
// teal ramp, next, pause, resume and abort, and what status shows of a ramp.
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

json ramp_answer(const char* from, const char* to) {
  return change_answer(
      {{"changed",
        {{{"service", "service-a"}, {"colour", "green"}, {"share", {{"from", from}, {"to", to}}}}}},
       {"unchanged", json::array()}});
}

TEST_F(CliTest, RampSendsItsStepsAndTellsTheShare) {
  daemon_->answer("POST /v1/ramp", ramp_answer("0%", "1%"));
  const auto result = teal({"ramp", "service-a", "--to", "green", "--steps", "1%,5%,100%", "--every", "2m"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "generation 13: service-a/green 0% -> 1%; adopted by 2 of 2 workers, slowest 3.1us\n");
  EXPECT_EQ(result.err,
            "hint: teal status SERVICE shows the ramp; teal abort SERVICE takes the share back at once\n");
  EXPECT_EQ(
      daemon_->last_body(),
      json({{"services", {"service-a"}}, {"to", "green"}, {"steps", {"1%", "5%", "100%"}}, {"every", "2m"}}));
  EXPECT_EQ(teal({"ramp", "-g", "shop", "--to", "green", "--manual", "--force"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_body(),
            json({{"group", "shop"}, {"to", "green"}, {"manual", true}, {"force", true}}));
}

TEST_F(CliTest, ARampWithoutAColourOrWithATimeWithoutUnitIsAUsageError) {
  const auto none = teal({"ramp", "service-a", "--steps", "1%,100%"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_EQ(none.err, "teal ramp: --to COLOUR is missing; expected blue or green\nhint: teal ramp --help\n");
  EXPECT_EQ(teal({"ramp", "service-a", "--to", "green", "--every", "5"}).exit_code, 2);
}

TEST_F(CliTest, TheOtherVerbsOfARampTellWhatChanged) {
  daemon_->answer("POST /v1/next", ramp_answer("1%", "5%"));
  EXPECT_TRUE(contains(teal({"next", "service-a"}).out, "service-a/green 1% -> 5%"));
  daemon_->answer("POST /v1/abort", ramp_answer("5%", "0%"));
  EXPECT_TRUE(contains(teal({"abort", "service-a", "--reason", "errors"}).out, "service-a/green 5% -> 0%"));
  EXPECT_EQ(daemon_->last_body(), json({{"services", {"service-a"}}, {"reason", "errors"}}));
  for (const bool pauses : {true, false}) {
    const char* verb = pauses ? "pause" : "resume";
    daemon_->answer(std::string("POST /v1/") + verb,
                    change_answer({{"changed", {{{"service", "service-a"}, {"paused", pauses}}}},
                                   {"unchanged", {"service-b"}}}));
    const auto told = teal({verb, "service-a", "service-b"});
    EXPECT_TRUE(contains(told.out, pauses ? "service-a is paused" : "service-a goes on")) << told.out;
    EXPECT_TRUE(contains(told.out, "unchanged: service-b\n")) << told.out;
  }
  daemon_->answer("POST /v1/abort",
                  change_answer({{"changed", json::array()}, {"unchanged", {"service-a"}}}));
  EXPECT_EQ(teal({"abort", "service-a"}).out,
            "generation 13: nothing to change, service-a is without a ramp\n");
}

TEST_F(CliTest, TheEndOfARampSaysWhatIsReset) {
  json answer = ramp_answer("25%", "100%");
  answer["drains"] = {{{"service", "service-a"},
                       {"colour", "blue"},
                       {"flows", 10},
                       {"deadline", "2026-11-23T05:35:00.123Z"},
                       {"seconds_left", 120.0},
                       {"then", "reset"},
                       {"resets", 10}}};
  daemon_->answer("POST /v1/next", answer);
  const auto told = teal({"next", "service-a"}).out;
  EXPECT_TRUE(contains(told, "10 flows")) << told;
  EXPECT_TRUE(contains(told, "reset")) << told;
}

TEST_F(CliTest, AFlipThatIsOnItsWaySaysSo) {
  daemon_->answer("POST /v1/flip", change_answer({{"changed", json::array()},
                                                  {"unchanged", {"service-a"}},
                                                  {"on_a_ramp", {"service-a"}}}));
  const auto result = teal({"flip", "service-a", "--to", "green"});
  EXPECT_EQ(result.out, "generation 13: nothing to change, service-a is on a ramp there\n");
  EXPECT_TRUE(contains(result.err, "--now")) << result.err;
}

TEST_F(CliTest, ListAndWaitSayThatTheSegmentIsRefused) {
  json answer = summary_answer();
  answer["dataplane"]["running"] = false;
  answer["dataplane"]["segment_refused"] = "Permission denied";
  daemon_->answer("GET /v1/services?view=summary", answer);
  const auto list = teal({"list"}).out;
  EXPECT_TRUE(contains(list, "teald cannot use the dataplane's segment: Permission denied")) << list;
  EXPECT_FALSE(contains(list, "not running")) << list;
  const auto waited = teal({"wait", "service-b", "--for", "drained", "--timeout", "100ms"});
  EXPECT_EQ(waited.exit_code, 4);
  EXPECT_TRUE(contains(waited.err, "cannot use the dataplane's segment")) << waited.err;
}

TEST_F(CliTest, StatusShowsARampItsNextStepAndWhyItIsPaused) {
  json answer = services_answer();
  json& ramp = answer["services"][1]["ramp"] = {{"id", 9},
                                                {"to", "green"},
                                                {"phase", "ramping"},
                                                {"share_percent", 12.5},
                                                {"step", 2},
                                                {"steps_percent", {5, 12.5, 100}},
                                                {"next_percent", 100},
                                                {"seconds_to_next", 42.0},
                                                {"every_seconds", 60},
                                                {"manual", false},
                                                {"paused", nullptr}};
  const auto page = [&] {
    daemon_->answer("GET /v1/services", answer);
    const auto shown = teal({"status"});
    expect_80_columns(shown.out);
    return shown.out;
  };
  EXPECT_TRUE(contains(page(), "ramp: service-b to green, 12.5% of new flows (step 2 of 3); 100% in 42s"))
      << page();
  EXPECT_TRUE(contains(page(), "87.5% of new flows"));
  ramp["paused"] = "errors";
  EXPECT_TRUE(contains(
      page(), "paused: errors;\n  teal abort service-b takes the share back, teal resume service-b goes on"))
      << page();
  ramp["paused"] = nullptr;
  ramp["seconds_to_next"] = nullptr;
  EXPECT_TRUE(contains(page(), "at teal next")) << page();
}

}  // namespace
}  // namespace teal::cli
