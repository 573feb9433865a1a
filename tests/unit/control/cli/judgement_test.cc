// SPDX-License-Identifier: Apache-2.0
//
// Tests how the command line tells of a judgement: status, and the commands that wait.
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

json a_ramp() {
  return {{"id", 13},
          {"to", "green"},
          {"phase", "ramping"},
          {"share_percent", 5},
          {"step", 1},
          {"steps_percent", {5, 100}},
          {"next_percent", 100},
          {"seconds_to_next", 42.0},
          {"every_seconds", 60},
          {"manual", false},
          {"paused", nullptr}};
}

json a_trial(const char* kind) {
  const bool is_flip = std::string(kind) == "flip";
  return {{"rollout", 13},
          {"kind", kind},
          {"tested", "green"},
          {"bake_seconds_left", is_flip ? json(80.0) : json(nullptr)},
          {"flows", 12},
          {"flows_needed", is_flip ? json(nullptr) : json(100)},
          {"judgement", "not_worse"},
          {"text", "green: 0 of 4,210 refused, at most 0.1 % (blue 0.0 %)"},
          {"log10_value", -1.5},
          {"signals",
           {{{"signal", "refused"},
             {"blue", {{"flows", 9000}, {"failed", 1}}},
             {"green", {{"flows", 4210}, {"failed", 0}}},
             {"text", "green: 0 of 4,210 refused, at most 0.1 % (blue 0.0 %)"}},
            {{"signal", "reset"},
             {"blue", {{"flows", 9000}, {"failed", 9}}},
             {"green", {{"flows", 4210}, {"failed", 4}}},
             {"text", "green: 4 of 4,210 reset, at most 0.3 % (blue 0.1 %)"}}}}};
}

json a_finding() {
  return {{"rollout", 13},
          {"at", "2026-11-23T05:35:00.123Z"},
          {"judgement", "bad"},
          {"action", "rollback"},
          {"text", "service-a: green is bad: 61 of 1,220 reset, at least 4.0 % (blue 0.1 %)"},
          {"evidence",
           {{"tested", "green"},
            {"flows", 1220},
            {"failed", 61},
            {"other_flows", 9000},
            {"other_failed", 9},
            {"log10_value", -31.25}}}};
}

class JudgementTest : public CliTest {
 protected:
  JudgementTest() { pauses_ = 1000; }

  // service-a as it is after a flip to green, without flows on blue.
  static json service(const char* active) {
    json one = services_answer()["services"][0];
    one["active"] = active;
    one["colours"]["blue"]["flows"] = 0;
    one["colours"]["green"]["flows"] = 0;
    one["draining"] = nullptr;
    one["ramp"] = one["trial"] = one["finding"] = nullptr;
    return one;
  }
  static json with(json service, const char* key, json value) {
    service[key] = std::move(value);
    return service;
  }
  void flips_service_a() {
    json answer = flip_answer();
    answer["changed"].erase(1);
    daemon_->answer("POST /v1/flip", answer);
  }
};

TEST_F(JudgementTest, StatusShowsTheBakeAndEachSignalOfANamedService) {
  json answer = services_answer();
  answer["services"][1]["trial"] = a_trial("flip");
  daemon_->answer("GET /v1/services", answer);
  const auto all = teal({"status"}).out;
  expect_80_columns(all);
  EXPECT_TRUE(contains(all, "bake: service-b on green, judged for 1m20s more: green: 0 of 4,210")) << all;
  EXPECT_FALSE(contains(all, "4 of 4,210 reset")) << all;
  daemon_->answer("GET /v1/services/service-b", answer["services"][1]);
  const auto one = teal({"status", "service-b"}).out;
  expect_80_columns(one);
  EXPECT_TRUE(contains(one, "  green: 4 of 4,210 reset, at most 0.3 % (blue 0.1 %)\n")) << one;
}

TEST_F(JudgementTest, StatusShowsWhatWasFound) {
  json answer = services_answer();
  answer["services"][1]["finding"] = a_finding();
  daemon_->answer("GET /v1/services", answer);
  const auto page = teal({"status"}).out;
  expect_80_columns(page);
  EXPECT_TRUE(contains(page, "green is bad: 61 of 1,220 reset")) << page;
}

TEST_F(JudgementTest, StatusSaysHowManyFlowsAStepWaitsFor) {
  json answer = services_answer();
  answer["services"][1]["ramp"] = a_ramp();
  answer["services"][1]["ramp"]["seconds_to_next"] = 0.0;
  answer["services"][1]["trial"] = a_trial("ramp");
  daemon_->answer("GET /v1/services", answer);
  const auto page = teal({"status"}).out;
  EXPECT_TRUE(contains(page, "100% after 100 new\n  flows (12 so far)")) << page;
}

TEST_F(JudgementTest, AFlipWaitsForItsBake) {
  flips_service_a();
  daemon_->answers("GET /v1/services/service-a",
                   {with(service("green"), "trial", a_trial("flip")), service("green")});
  const auto result = teal({"flip", "service-a", "--to", "green", "--wait"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "service-a is drained (")) << result.out;
}

TEST_F(JudgementTest, AFlipWaitsForNoJudgementThatCannotCome) {
  flips_service_a();
  json trial = a_trial("flip");
  trial["judgement"] = "no_baseline";
  daemon_->answer("GET /v1/services/service-a", with(service("green"), "trial", trial));
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--wait"}).exit_code, 0);
}

TEST_F(JudgementTest, ARollbackByTealDuringTheWaitIsExitCode6WithTheVerdict) {
  flips_service_a();
  daemon_->answers("GET /v1/services/service-a", {with(service("green"), "trial", a_trial("flip")),
                                                  with(service("blue"), "finding", a_finding())});
  const auto result = teal({"flip", "service-a", "--to", "green", "--wait"});
  EXPECT_EQ(result.exit_code, 6);
  EXPECT_EQ(
      result.err,
      "teal: service-a is blue again, because Teal rolled it back: service-a: green is bad: 61 of 1,220 "
      "reset, at least 4.0 % (blue 0.1 %); 61 of 1220 flows of green failed, 9 of 9000 of the other colour, "
      "value of the test 1e-31.2\n"
      "hint: teal history service-a shows when\n");
}

TEST_F(JudgementTest, AWaitEndsWithTheVerdictWhereTealLeavesTheRestToTheOperator) {
  flips_service_a();
  json told = a_finding();
  told["action"] = "nothing";
  const auto flipped = [](json finding, uint64_t generation) {
    json one = with(service("green"), "finding", std::move(finding));
    one["generation_of_flip"] = generation;
    return one;
  };
  daemon_->answer("GET /v1/services/service-a", flipped(told, 14));
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--wait"}).exit_code, 0)
      << "it is of an earlier rollout";
  daemon_->answer("GET /v1/services/service-a", flipped(told, 13));
  const auto result = teal({"flip", "service-a", "--to", "green", "--wait"});
  EXPECT_EQ(result.exit_code, 6);
  EXPECT_TRUE(contains(result.err, "green is bad")) << result.err;
  EXPECT_TRUE(contains(result.err, "Teal leaves it there (on_bad)\nhint: teal rollback service-a"))
      << result.err;

  json paused = a_ramp(), found = a_finding();
  found["action"] = "pause";
  json ramps = with(service("blue"), "finding", found);
  ramps["ramp"] = paused;
  daemon_->answers("GET /v1/services/service-a", {ramps, service("green")});
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--wait"}).exit_code, 0) << "an operator resumed it";
  paused["paused"] = "few flows";
  ramps["ramp"] = paused;
  daemon_->answers("GET /v1/services/service-a", {ramps, service("green")});
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--wait"}).exit_code, 0) << "for another reason";
  paused["paused"] = found["text"];
  ramps["ramp"] = paused;
  daemon_->answer("GET /v1/services/service-a", ramps);
  const auto stopped = teal({"flip", "service-a", "--to", "green", "--wait"});
  EXPECT_EQ(stopped.exit_code, 6);
  EXPECT_TRUE(contains(stopped.err, "its ramp is paused")) << stopped.err;

  json both = told;
  both["judgement"] = "both_sick";
  daemon_->answer("GET /v1/services/service-a", flipped(both, 13));
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--wait"}).exit_code, 0) << "blue is no better";
}

TEST_F(JudgementTest, ARampWaitsForItsLastStep) {
  daemon_->answer(
      "POST /v1/ramp",
      change_answer(
          {{"changed",
            {{{"service", "service-a"}, {"colour", "green"}, {"share", {{"from", "0%"}, {"to", "5%"}}}}}},
           {"unchanged", json::array()}}));
  daemon_->answers("GET /v1/services/service-a",
                   {with(service("blue"), "ramp", a_ramp()), with(service("green"), "trial", a_trial("flip")),
                    service("green")});
  EXPECT_EQ(teal({"ramp", "service-a", "--to", "green", "--steps", "5%,100%", "--wait"}).exit_code, 0);
  daemon_->answers("GET /v1/services/service-a",
                   {with(service("blue"), "ramp", a_ramp()), with(service("blue"), "finding", a_finding())});
  EXPECT_EQ(teal({"ramp", "service-a", "--to", "green", "--steps", "5%,100%", "--wait"}).exit_code, 6);
}

// The command before gave up waiting; the service is there, and Teal still judges it.
TEST_F(JudgementTest, ARepeatedFlipWaitsForTheBakeToo) {
  json answer = flip_answer();
  answer["changed"] = json::array();
  answer["unchanged"] = {"service-a"};
  daemon_->answer("POST /v1/flip", answer);
  daemon_->answers("GET /v1/services/service-a",
                   {with(service("green"), "trial", a_trial("flip")), service("green")});
  const auto good = teal({"flip", "service-a", "--to", "green", "--wait"});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(std::ranges::count(daemon_->requests(), "GET /v1/services/service-a"), 2);
  daemon_->answers("GET /v1/services/service-a", {with(service("green"), "trial", a_trial("flip")),
                                                  with(service("blue"), "finding", a_finding())});
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--wait"}).exit_code, 6);
}

// A finding that Teal left to the operator is told until the operator has acted.
TEST_F(JudgementTest, StatusForgetsAFindingThatWasActedOn) {
  json finding = a_finding();
  finding["action"] = "nothing";
  const auto page = [&](uint64_t generation) {
    json all = services_answer();
    all["services"] = {with(with(service("green"), "finding", finding), "generation_of_flip", generation)};
    daemon_->answer("GET /v1/services", all);
    return teal({"status"}).out;
  };
  EXPECT_TRUE(contains(page(13), "Teal moved nothing"));
  EXPECT_FALSE(contains(page(14), "judged at"));
}

TEST_F(JudgementTest, StatusSaysWhatAStepStillNeeds) {
  const auto page = [&](double left, int flows) {
    json all = services_answer(), ramp = a_ramp(), trial = a_trial("ramp");
    ramp["seconds_to_next"] = left;
    trial["flows"] = flows;
    all["services"] = {with(with(service("blue"), "ramp", ramp), "trial", trial)};
    daemon_->answer("GET /v1/services", all);
    return teal({"status"}).out;
  };
  EXPECT_TRUE(contains(page(42, 12), "100% in 42s, and")) << page(42, 12);
  EXPECT_TRUE(contains(page(42, 12), "100 new flows (12 so far)")) << page(42, 12);
  EXPECT_TRUE(contains(page(42, 100), "100% in 42s\n"));
  EXPECT_TRUE(contains(page(0, 12), "100% after 100 new")) << page(0, 12);
}

TEST_F(JudgementTest, StatusShowsAReleaseThatWaitsForItsHook) {
  json all = services_answer();
  all["services"] = {with(service("blue"), "waiting_release",
                          {{"to", "green"}, {"user", "alice"}, {"since", "2026-11-23T05:35:00.123Z"}})};
  daemon_->answer("GET /v1/services", all);
  const auto page = teal({"status"}).out;
  EXPECT_TRUE(contains(page, "waiting: service-a to green, asked by alice at 2026-11-23 05:35:00Z")) << page;
  EXPECT_TRUE(contains(page, "teal abort service-a calls it off")) << page;
}

TEST_F(JudgementTest, RolledOutIsWhenRampJudgementAndDrainAreOver) {
  const json ramping = with(service("blue"), "ramp", a_ramp());
  daemon_->answers("GET /v1/services/service-a",
                   {ramping, ramping, with(service("green"), "trial", a_trial("flip")), service("green")});
  const auto over = teal({"wait", "service-a", "--for", "rolled-out"});
  EXPECT_EQ(over.exit_code, 0) << over.err;
  EXPECT_TRUE(over.out.starts_with("service-a is rolled-out (")) << over.out;
  EXPECT_EQ(std::ranges::count(daemon_->requests(), "GET /v1/services/service-a"), 4);
  daemon_->answers("GET /v1/services/service-a",
                   {ramping, ramping, with(service("blue"), "finding", a_finding())});
  EXPECT_EQ(teal({"wait", "service-a", "--for", "rolled-out"}).exit_code, 6);
  daemon_->answer("GET /v1/services/service-a", service("blue"));
  EXPECT_EQ(teal({"wait", "service-a", "--for", "rolled-out", "--colour", "green"}).exit_code, 6)
      << "it went back before the wait";
  daemon_->answers(
      "GET /v1/services/service-a",
      {service("blue"), with(service("blue"), "waiting_release", {{"to", "green"}}), service("green")});
  EXPECT_EQ(teal({"wait", "service-a", "--for", "rolled-out", "--colour", "green"}).exit_code, 0);
}

}  // namespace
}  // namespace teal::cli
