// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

json verify_answer(const char* verdict) {
  const std::string text = "a flip of service-a to green would be made: 1 of 2 backends can serve";
  return {{"verdict", verdict},
          {"text", text},
          {"reasons", json::array()},
          {"warnings",
           {"service-a/green/198.18.2.22:8080 failed its check now, and is up until it has failed 3 times"}},
          {"dataplane_running", true},
          {"prober", {{"checked", 2}, {"connected", true}, {"fresh", true}, {"unknown_since", nullptr}}},
          {"services",
           {{{"name", "service-a"},
             {"active", "blue"},
             {"to", "green"},
             {"weight", 2},
             {"weight_up", 2},
             {"backends",
              {{{"address", "198.18.2.21:8080"},
                {"state", "ready"},
                {"weight", 2},
                {"next_hop", "resolved"},
                {"check", "passed"},
                {"health", "up"}},
               {{"address", "198.18.2.22:8080"},
                {"state", "drain"},
                {"weight", 0},
                {"next_hop", "unresolved"},
                {"next_hop_problem", "no route"},
                {"check", "failed"},
                {"health", "up"},
                {"health_reason", "connection refused"}}}}}}}};
}

TEST_F(CliTest, VerifyShowsEachBackendAndTheVerdict) {
  daemon_->answer("POST /v1/verify", verify_answer("flips"));
  const auto result = teal({"verify", "service-a"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(daemon_->last_body(), json({{"services", {"service-a"}}, {"timeout", "5000ms"}}));
  expect_80_columns(result.out);
  expect_80_columns(result.err);
  EXPECT_TRUE(contains(result.out, "service-a/green/198.18.2.21:8080")) << result.out;
  EXPECT_TRUE(contains(result.out, "no route")) << result.out;
  EXPECT_TRUE(contains(result.out, "up, last check\n")) << result.out;
  EXPECT_TRUE(result.out.ends_with("a flip of service-a to green would be made: 1 of 2 backends can serve\n"))
      << result.out;
  EXPECT_TRUE(contains(result.err, "warning: service-a/green/198.18.2.22:8080 failed its check now"))
      << result.err;
  EXPECT_EQ(json::parse(teal({"verify", "service-a", "-o", "json"}).out), verify_answer("flips"));
}

TEST_F(CliTest, VerifySendsWhatTheOperatorAskedFor) {
  daemon_->answer("POST /v1/verify", verify_answer("unchanged"));
  EXPECT_EQ(teal({"verify", "--group", "shop", "--to", "blue", "--timeout", "1m"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_body(), json({{"group", "shop"}, {"to", "blue"}, {"timeout", "60000ms"}}));
  EXPECT_EQ(teal({"verify"}).exit_code, 2);
  EXPECT_EQ(teal({"verify", "service-a", "--group", "shop"}).exit_code, 2);
  EXPECT_EQ(teal({"verify", "service-a", "--to", "red"}).exit_code, 2);
  EXPECT_EQ(teal({"verify", "service-a", "--timeout", "3m"}).exit_code, 2);
}

TEST_F(CliTest, VerifyOfARefusedFlipListsAllReasonsAndEndsWith3) {
  json answer = verify_answer("refused");
  answer["text"] = "a flip of service-a to green would be refused: no green backend of service-a is up";
  answer["reasons"] = {"no green backend of service-a is up", "alice locked all changes: audit"};
  daemon_->answer("POST /v1/verify", answer);
  const auto result = teal({"verify", "service-a"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_TRUE(contains(result.out, "service-a/green/198.18.2.21:8080")) << "the table is shown, too";
  EXPECT_TRUE(contains(
      result.err, "alice locked all changes: audit\nteal: a flip of service-a to green would be refused"))
      << result.err;
  const auto told = teal({"verify", "service-a", "-o", "json"});
  EXPECT_EQ(told.exit_code, 3);
  EXPECT_EQ(json::parse(told.out)["error"]["code"], "refused");
  EXPECT_EQ(json::parse(told.out)["done"], answer);
}

TEST_F(CliTest, VerifyWithoutAnAnswerOfTheChecksEndsWith4) {
  json answer = verify_answer("no_answer");
  answer["text"] = "2 of 2 checks gave no answer within 5s: teal-health does not report";
  answer["prober"]["fresh"] = false;
  daemon_->answer("POST /v1/verify", answer);
  const auto result = teal({"verify", "service-a"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_TRUE(contains(result.err, "teal: 2 of 2 checks gave no answer within 5s")) << result.err;
  EXPECT_TRUE(contains(result.err, "hint: teal health shows since when")) << result.err;
}

}  // namespace
}  // namespace teal::cli
