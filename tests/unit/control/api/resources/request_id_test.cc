// SPDX-License-Identifier: Apache-2.0
//
// A change that is sent twice with one request id is made once.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/state/databases.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

class Repetition : public testing::Test {
 protected:
  ApiReply flip_to(const std::string& to, const std::string& more) {
    return home.post("/v1/flip", R"({"services":["service-a"],"to":")" + to + "\"," + more + "}");
  }
  ApiReply flip_as(const std::string& id, const std::string& more = "") {
    return flip_to("green", R"("request_id":")" + id + "\"" + more);
  }
  std::string code(const ApiReply& reply) {
    return std::to_string(reply.status) + " " + reply.body["error"].value("code", "-");
  }
  size_t changes() { return home.get("/v1/history").body["changes"].size(); }
  void restart() {
    daemon.reset();
    daemon.emplace(home);
  }

  DaemonHome home;
  std::optional<RunningDaemon> daemon{home};
};

TEST_F(Repetition, ARepeatedChangeIsMadeOnceAndTheSecondAnswerIsTheFirst) {
  ApiReply first = flip_as("deploy-42");
  ASSERT_EQ(first.status, 200u) << first.body;
  EXPECT_EQ(first.body["repeated"], false);
  ASSERT_EQ(home.flip("service-a", "blue").status, 200u) << "by another operator, in between";
  ApiReply second = flip_as("deploy-42");
  ASSERT_EQ(second.status, 200u) << second.body;
  EXPECT_EQ(second.body["repeated"], true);
  first.body["repeated"] = true;
  const auto& warnings = second.body["warnings"];
  EXPECT_EQ(warnings.back(), "service-a: that was changed since: blue is active since generation 2")
      << warnings;
  second.body["warnings"].erase(warnings.size() - 1);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(home.service("service-a")["active"], "blue");
  EXPECT_EQ(changes(), 2u);
}

TEST_F(Repetition, ItsMemorySurvivesARestartFor24Hours) {
  ASSERT_EQ(flip_as("deploy-42").status, 200u);
  ASSERT_EQ(home.flip("service-a", "blue").status, 200u);
  restart();
  home.clock().skip(23h);
  EXPECT_EQ(flip_as("deploy-42").body["repeated"], true);
  home.clock().skip(2h);
  EXPECT_EQ(flip_as("deploy-42").body["repeated"], false);
  EXPECT_EQ(home.service("service-a")["active"], "green");
}

TEST_F(Repetition, TheSameIdWithOtherContentIsAConflict) {
  ASSERT_EQ(flip_as("deploy-42").status, 200u);
  EXPECT_EQ(code(flip_to("blue", R"("request_id":"deploy-42")")), "409 conflict");
  EXPECT_EQ(code(home.post("/v1/rollback", R"({"services":["service-a"],"request_id":"deploy-42"})")),
            "409 conflict");
  restart();
  EXPECT_EQ(code(flip_to("blue", R"("request_id":"deploy-42")")), "409 conflict");
  EXPECT_EQ(home.service("service-a")["active"], "green");
}

// Otherwise a repetition of a guarded request would conflict with the change that the first request made.
TEST_F(Repetition, PreconditionsAreNotPartOfTheContent) {
  ASSERT_EQ(flip_as("deploy-42", R"(,"if_generation":0)").status, 200u);
  EXPECT_EQ(flip_as("deploy-42", R"(,"if_generation":0)").body["repeated"], true);
  EXPECT_EQ(flip_as("deploy-42", R"(,"if_revision":1)").body["repeated"], true);
}

TEST_F(Repetition, ARefusedChangeAndADryRunLeaveTheIdUnused) {
  EXPECT_EQ(flip_as("deploy-42", R"(,"dry_run":true)").body["repeated"], false);
  ASSERT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
  EXPECT_EQ(code(flip_as("deploy-42")), "423 locked");
  ASSERT_EQ(home.post("/v1/unlock", "{}").status, 200u);
  EXPECT_EQ(flip_as("deploy-42").body["repeated"], false);
  EXPECT_EQ(home.service("service-a")["active"], "green");
}

// Otherwise a late repetition would make a change that its sender believes to be over.
TEST_F(Repetition, AChangeOfNothingIsRememberedToo) {
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  EXPECT_EQ(flip_as("deploy-42").body["unchanged"].size(), 1u);
  ASSERT_EQ(home.flip("service-a", "blue").status, 200u);
  EXPECT_EQ(flip_as("deploy-42").body["repeated"], true);
  restart();
  EXPECT_EQ(flip_as("deploy-42").body["repeated"], true);
  EXPECT_EQ(home.service("service-a")["active"], "blue");
}

TEST_F(Repetition, OfConcurrentRepetitionsOneMakesTheChange) {
  constexpr int kSenders = 8;
  std::vector<std::thread> senders;
  std::atomic<int> made{0}, repeated{0};
  for (int i = 0; i < kSenders; ++i) {
    senders.emplace_back([&] {
      const ApiReply reply = flip_as("deploy-42");
      (reply.body.value("repeated", false) ? repeated : made) += reply.status == 200;
    });
  }
  for (std::thread& sender : senders) sender.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(repeated, kSenders - 1);
  EXPECT_EQ(changes(), 1u);
}

TEST_F(Repetition, EveryChangingVerbTakesOne) {
  const std::pair<const char*, const char*> changes[] = {
      {"/v1/flip", R"("services":["service-a"],"to":"green")"},
      {"/v1/rollback", R"("services":["service-a"])"},
      {"/v1/ramp", R"("services":["service-a"],"to":"green","steps":["5%","50%","100%"],"every":"10m")"},
      {"/v1/pause", R"("services":["service-a"],"reason":"a look at the logs")"},
      {"/v1/resume", R"("services":["service-a"])"},
      {"/v1/next", R"("services":["service-a"])"},
      {"/v1/abort", R"("services":["service-a"])"},
      {"/v1/drain", R"("services":["service-a"],"then":"wait")"},
      {"/v1/backend",
       R"("service":"service-a","colour":"blue","address":"198.18.2.11:8080","state":"drain")"},
      {"/v1/preview", R"("service":"service-a","clients":["198.18.0.0/24"])"},
      {"/v1/reload", R"("reason":"new pool")"},
      {"/v1/lock", R"("reason":"audit")"},
      {"/v1/unlock", R"("reason":"audit is over")"}};
  for (const auto& [path, fields] : changes) {
    const std::string body = "{" + std::string(fields) + R"(,"request_id":"of)" + path + R"("})";
    EXPECT_EQ(home.post(path, body).body["repeated"], false) << path;
    EXPECT_EQ(home.post(path, body).body["repeated"], true) << path;
  }
}

TEST_F(Repetition, AnIdOfAnotherFormIsRefused) {
  for (const std::string& id : {std::string(), std::string("with space"), std::string(129, 'x')})
    EXPECT_EQ(code(flip_as(id)), "400 bad_request") << id;
  EXPECT_EQ(code(flip_to("green", R"("request_id":7)")), "400 bad_request");
  EXPECT_EQ(flip_as(std::string(128, 'x')).status, 200u);
}

}  // namespace
}  // namespace teal
