// SPDX-License-Identifier: Apache-2.0
//
// teal drain: what it shows of a drain, and what it says when it changes one.
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

TEST_F(CliTest, DrainWithoutOptionsShowsWhoHoldsMost) {
  json draining = {{"colour", "blue"},
                   {"state", "draining"},
                   {"flows", 198},
                   {"closing", 3},
                   {"deadline", "2026-11-23T05:35:00.123Z"},
                   {"seconds_left", 252.4},
                   {"timeout_seconds", 300.0},
                   {"then", "reset"},
                   {"estimate_seconds", 33.0},
                   {"oldest", {{"born_generation", 9}, {"born_before", "2026-11-23T04:00:00.000Z"}}},
                   {"backends", {{{"address", "198.18.2.11:8080"}, {"flows", 100}}}},
                   {"clients", {{{"address", "198.18.1.101"}, {"flows", 150}}}}};
  const auto answer = [&](bool dataplane_running = true) {
    daemon_->answer("GET /v1/services/service-a/drain", {{"service", "service-a"},
                                                         {"active", "green"},
                                                         {"dataplane_running", dataplane_running},
                                                         {"draining", draining}});
  };
  answer();
  const auto result = teal({"drain", "service-a"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "service-a: green is active, blue is draining\n"
            "  flows     198 left, 3 closing\n"
            "  deadline  2026-11-23 05:35:00Z, in 4m12s; then reset\n"
            "  estimate  done in about 33s\n"
            "  oldest    began in generation 9, before 2026-11-23 04:00:00Z\n"
            "\n"
            "BACKEND           FLOWS\n"
            "198.18.2.11:8080    100\n"
            "\n"
            "CLIENT        FLOWS\n"
            "198.18.1.101    150\n");
  draining["state"] = "overdue";
  draining["seconds_left"] = 0.0;
  draining["then"] = "wait";
  draining["estimate_seconds"] = nullptr;
  draining["oldest"] = nullptr;
  answer();
  const auto overdue = teal({"drain", "service-a"}).out;
  EXPECT_TRUE(
      contains(overdue, "  deadline  passed at 2026-11-23 05:35:00Z, then wait: the flows may stay\n"));
  EXPECT_TRUE(contains(overdue, "estimate  none"));
  draining["then"] = "reset";
  answer(false);
  const auto dead = teal({"drain", "service-a"}).out;
  EXPECT_TRUE(contains(dead, "then reset: the flows are reset when\n            a dataplane runs\n")) << dead;
  EXPECT_TRUE(contains(dead, "dataplane not running: flows neither end nor are reset\n")) << dead;
  EXPECT_FALSE(contains(dead, "may stay")) << dead;
  draining = nullptr;
  answer();
  EXPECT_EQ(teal({"drain", "service-a"}).out, "service-a: green is active; no drain, blue has no flows\n");
  EXPECT_EQ(json::parse(teal({"drain", "service-a", "-o", "json"}).out)["services"][0]["service"],
            "service-a");
}

TEST_F(CliTest, DrainNamesTheFlowsOfTheIdleColourThatNoDrainWaitsFor) {
  daemon_->answer("GET /v1/services/service-a/drain",
                  {{"service", "service-a"}, {"active", "blue"}, {"idle_flows", 6}, {"draining", nullptr}});
  EXPECT_EQ(teal({"drain", "service-a"}).out,
            "service-a: blue is active; no drain, green has 6 flows\n"
            "  of a ramp or a preview: teal abort service-a ends a ramp, and teal flows\n"
            "  service-a shows them\n");
}

TEST_F(CliTest, DrainOfAGroupShowsEachOfItsServices) {
  for (const char* name : {"service-a", "service-b"})
    daemon_->answer(std::string("GET /v1/services/") + name + "/drain",
                    {{"service", name}, {"active", "blue"}, {"draining", nullptr}});
  const auto result = teal({"drain", "--group", "shop"});
  EXPECT_TRUE(contains(result.out, "service-a: blue is active") &&
              contains(result.out, "service-b: blue is active"));
  const auto unknown = teal({"drain", "--group", "shp"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_EQ(unknown.err, "teal: unknown group \"shp\"; the groups are: shop\nhint: did you mean \"shop\"?\n");
}

TEST_F(CliTest, DrainChangesTheDeadline) {
  daemon_->answer(
      "POST /v1/drain",
      change_answer({{"changed", {{{"service", "service-a"}, {"timeout_seconds", 120.0}, {"then", "reset"}}}},
                     {"unchanged", {"service-b"}},
                     {"nothing_drains", json::array()},
                     {"drains", json::array()}}));
  const auto result = teal({"drain", "--group", "shop", "--timeout", "2m", "--then", "reset", "-r", "late"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "generation 13: drain service-a for 2m, then reset; adopted by 2 of 2 workers, slowest 3.1us\n"
            "unchanged: service-b\n");
  EXPECT_EQ(daemon_->last_body(),
            json({{"group", "shop"}, {"timeout", "2m"}, {"then", "reset"}, {"reason", "late"}}));
  // --timeout is the drain's deadline, not the timeout of the daemon's answer.
  EXPECT_EQ(teal({"drain", "service-a", "--timeout", "1ms"}).exit_code, 0);
}

TEST_F(CliTest, DrainSaysWhenFlowsAreResetAndHowMany) {
  json drain = {
      {"service", "a"},       {"colour", "blue"}, {"flows", 12}, {"deadline", "2026-11-23T05:35:00.123Z"},
      {"seconds_left", 90.0}, {"then", "reset"},  {"resets", 12}};
  const auto answer_to = [&](const char* last) {
    daemon_->answer("POST /v1/drain", change_answer({{"changed",
                                                      {{{"service", "a"},
                                                        {"timeout_seconds", 120.0},
                                                        {"deadline", drain["deadline"]},
                                                        {"then", drain["then"]}}}},
                                                     {"unchanged", json::array()},
                                                     {"nothing_drains", json::array()},
                                                     {"drains", {drain}},
                                                     {"dry_run", last != nullptr}}));
    std::vector<std::string> words = {"drain", "a", "--timeout", "2m", "--from-now"};
    if (last != nullptr) words.emplace_back(last);
    const auto result = teal(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  EXPECT_EQ(
      answer_to(nullptr),
      "generation 13: drain a until 2026-11-23 05:35:00Z, then reset; adopted by 2 of 2 workers, slowest "
      "3.1us\na: 12 flows of blue are reset at 2026-11-23 05:35:00Z, in 1m30s\n");
  EXPECT_EQ(daemon_->last_body(), json({{"services", {"a"}}, {"timeout", "2m"}, {"from_now", true}}));
  EXPECT_TRUE(answer_to("--dry-run")
                  .ends_with("a: 12 flows of blue would be reset at 2026-11-23 05:35:00Z, in 1m30s\n"));
  drain["seconds_left"] = 0.0;
  EXPECT_TRUE(
      contains(answer_to("--dry-run"), "12 flows of blue would be reset now: the deadline was 2026-"));
  drain["flows"] = 1;
  EXPECT_TRUE(contains(answer_to(nullptr), "1 flow of blue is reset now"));
  drain["then"] = "wait";
  EXPECT_TRUE(contains(answer_to(nullptr), "1 flow of blue stays until it ends; the deadline was 2026-"));
  EXPECT_EQ(teal({"drain", "a", "--then", "reset", "--from-now"}).exit_code, 2);

  daemon_->answer("POST /v1/drain", change_answer({{"changed", json::array()},
                                                   {"unchanged", {"a", "b"}},
                                                   {"nothing_drains", {"a", "b"}},
                                                   {"drains", json::array()}}));
  EXPECT_EQ(teal({"drain", "-g", "shop", "--timeout", "2m"}).out,
            "generation 13: nothing to change, a, b have no drain\n");
}

// --- drains that other changes begin ---

json begun(const char* then, double seconds_left, uint64_t flows) {
  return {{"service", "service-a"},
          {"colour", "blue"},
          {"flows", flows},
          {"deadline", "2026-11-23T05:35:00.123Z"},
          {"seconds_left", seconds_left},
          {"then", then},
          {"resets", std::string(then) == "reset" ? flows : 0}};
}

TEST_F(CliTest, AFlipSaysUntilWhenTheDrainLastsAndHowManyFlowsAreReset) {
  auto answer = flip_answer();
  const auto said = [&](const json& drain, const char* verb, bool dry_run) {
    answer["drains"] = json::array({drain});
    answer["dry_run"] = dry_run;
    daemon_->answer(std::string("POST /v1/") + verb, answer);
    std::vector<std::string> words = {verb, "--group", "shop"};
    if (std::string(verb) == "flip") words.insert(words.end(), {"--to", "green"});
    if (dry_run) words.emplace_back("--dry-run");
    const auto result = teal(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out.substr(result.out.find('\n') + 1);
  };
  for (const char* verb : {"flip", "rollback"}) {
    EXPECT_EQ(said(begun("reset", 300, 76), verb, false),
              "service-a: 76 flows of blue are reset at 2026-11-23 05:35:00Z, in 5m\n");
    EXPECT_EQ(said(begun("reset", 300, 76), verb, true),
              "service-a: 76 flows of blue would be reset at 2026-11-23 05:35:00Z, in 5m\n");
    EXPECT_EQ(said(begun("wait", 300, 76), verb, false),
              "service-a: 76 flows of blue stay until they end; deadline 2026-11-23\n  05:35:00Z, in 5m\n");
    EXPECT_EQ(
        said(begun("wait", 300, 1), verb, true),
        "service-a: 1 flow of blue would stay until it ends; deadline 2026-11-23\n  05:35:00Z, in 5m\n");
  }
}

TEST_F(CliTest, AFlipOfManyServicesCountsTheDrainsThatItDoesNotList) {
  auto answer = flip_answer();
  answer["drains"] = json::array();
  for (int i = 0; i < 203; ++i) answer["drains"].push_back(begun("reset", 300, 10));
  daemon_->answer("POST /v1/flip", answer);
  const auto text = teal({"flip", "--group", "shop", "--to", "green"}).out;
  EXPECT_TRUE(text.ends_with("and 195 more drains, of 1950 flows\n")) << text;
}

TEST_F(CliTest, AReloadSaysWhichDrainsItTouches) {
  json plan = {
      {"added", json::array()},
      {"changed", json::array()},
      {"retired",
       {{{"kind", "backend"}, {"service", "service-a"}, {"address", "198.18.2.12:8080"}, {"flows", 16}}}},
      {"restart", json::array()}};
  daemon_->answer("POST /v1/reload", change_answer({{"plan", plan}, {"drains", {begun("reset", 0, 16)}}}));
  EXPECT_TRUE(
      teal({"reload"})
          .out.ends_with(
              "retired: takes no new flows; its 16 flows continue until they end, or the\n  drain resets "
              "them\n"
              "service-a: 16 flows of blue are reset now: the deadline was 2026-11-23\n  05:35:00Z\n"))
      << teal({"reload"}).out;
}

}  // namespace
}  // namespace teal::cli
