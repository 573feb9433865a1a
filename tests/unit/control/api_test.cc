// SPDX-License-Identifier: Apache-2.0
//
// The API over its socket, without a dataplane: what is read, what is refused, what a change leaves behind.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {
namespace {

class ApiTest : public testing::Test {
 protected:
  std::string code(const ApiReply& reply) {
    return std::to_string(reply.status) + " " + reply.body["error"].value("code", "-");
  }
  std::string message(const ApiReply& reply) { return reply.body["error"].value("message", "-"); }

  DaemonHome home;
  RunningDaemon daemon{home};
};

TEST_F(ApiTest, TheSocketIsForOperators) {
  struct stat status {};
  ASSERT_EQ(::stat(home.socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
}

TEST_F(ApiTest, Version) {
  const ApiReply reply = home.get("/v1/version");
  EXPECT_EQ(reply.body["version"], TEAL_VERSION);
  EXPECT_EQ(reply.body["pid"], getpid());
  EXPECT_GE(reply.body["uptime_seconds"], 0.0);
}

TEST_F(ApiTest, ServicesWithoutADataplane) {
  const nlohmann::json body = home.get("/v1/services").body;
  EXPECT_EQ(body["generation"], 0);
  EXPECT_EQ(body["dataplane"]["running"], false);
  EXPECT_EQ(body["dataplane"]["flow_entries"], 0);
  ASSERT_EQ(body["services"].size(), 3u);
  EXPECT_EQ(body["groups"],
            nlohmann::json::parse(R"([{"name":"shop","services":["service-a","service-b"]}])"));
  const nlohmann::json expected = nlohmann::json::parse(R"({
    "name":"service-a","id":0,"vip":"198.18.0.10:80","protocol":"tcp","active":"blue","previous":null,"generation_of_flip":0,
    "flipped_at":null,"file_active":"blue","draining":null,"colours":{
      "blue":{"flows":0,"closing":0,"new_flows":0,"packets":{"to_backend":0,"to_client":0},"bytes":{"to_backend":0,"to_client":0},
        "backends":[{"address":"198.18.2.11:8080","id":0,"weight":1,"flows":0,"closing":0,"next_hop":"unresolved"},
                    {"address":"198.18.2.12:8080","id":1,"weight":1,"flows":0,"closing":0,"next_hop":"unresolved"}]},
      "green":{"flows":0,"closing":0,"new_flows":0,"packets":{"to_backend":0,"to_client":0},"bytes":{"to_backend":0,"to_client":0},
        "backends":[{"address":"198.18.2.21:8080","id":2,"weight":1,"flows":0,"closing":0,"next_hop":"unresolved"}]}}})");
  EXPECT_EQ(body["services"][0], expected) << body["services"][0].dump(1);
  EXPECT_EQ(home.service("service-a"), expected);
  EXPECT_EQ(home.service("service-b")["vip"], "[fd18::10]:80");
}

TEST_F(ApiTest, AFlipWithoutADataplaneIsRecordedAndSaysSo) {
  const ApiReply reply = home.flip("service-a", "green");
  ASSERT_EQ(reply.status, 200u) << reply.body;
  EXPECT_EQ(reply.body["generation"], 1);
  EXPECT_EQ(reply.body["changed"],
            nlohmann::json::parse(R"([{"service":"service-a","from":"blue","to":"green"}])"));
  EXPECT_EQ(reply.body["dataplane_running"], false);
  EXPECT_EQ(reply.body["warnings"].size(), 1u);
  EXPECT_EQ(reply.body["workers"]["live"], 0);
  const nlohmann::json service = home.service("service-a");
  EXPECT_EQ(service["active"], "green");
  EXPECT_EQ(service["previous"], "blue");
  EXPECT_EQ(service["generation_of_flip"], 1);
  EXPECT_EQ(service["flipped_at"].get<std::string>().size(), 24u);
}

TEST_F(ApiTest, AFlipToWhereItIsChangesNothing) {
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  const ApiReply reply = home.flip("service-a", "green");
  EXPECT_EQ(reply.status, 200u);
  EXPECT_EQ(reply.body["generation"], 1);
  EXPECT_TRUE(reply.body["changed"].empty());
  EXPECT_EQ(reply.body["unchanged"], nlohmann::json({"service-a"}));
}

TEST_F(ApiTest, AGroupFlipsAndRollsBackInOneGenerationEach) {
  EXPECT_EQ(
      home.post("/v1/flip", R"({"group":"shop","to":"green","reason":"release 42"})").body["generation"], 1);
  EXPECT_EQ(home.service("service-a")["active"], "green");
  EXPECT_EQ(home.service("service-b")["active"], "green");
  const ApiReply reply = home.post("/v1/rollback", R"({"group":"shop","if_generation":1})");
  EXPECT_EQ(reply.body["generation"], 2);
  EXPECT_EQ(reply.body["changed"].size(), 2u);
  EXPECT_EQ(home.service("service-a")["active"], "blue");
  EXPECT_EQ(home.service("service-a")["previous"], "green");
}

TEST_F(ApiTest, WhatIsRefusedChangesNothing) {
  EXPECT_EQ(code(home.get("/v1/services/nope")), "404 unknown_service");
  EXPECT_EQ(message(home.get("/v1/services/nope")),
            "no service \"nope\"; there are: service-a, service-b, service-c");
  EXPECT_EQ(code(home.flip("nope", "green")), "404 unknown_service");
  EXPECT_EQ(code(home.flip("service-a", "red")), "400 bad_request");
  EXPECT_EQ(code(home.post("/v1/flip", R"({"group":"shoe","to":"green"})")), "404 unknown_group");
  EXPECT_EQ(code(home.post("/v1/flip", R"({"services":["service-a"]})")), "400 bad_request");
  EXPECT_EQ(code(home.post("/v1/flip", R"({"to":"green"})")), "400 bad_request");
  EXPECT_EQ(code(home.post("/v1/flip", R"({"services":["service-a"],"to":"green","force":true})")),
            "400 bad_request");
  EXPECT_EQ(code(home.post("/v1/flip", "not json")), "400 bad_request");
  EXPECT_EQ(code(home.post("/v1/flip", R"({"services":["service-a"],"to":"green","if_generation":7})")),
            "409 conflict");
  EXPECT_EQ(code(home.post("/v1/rollback", R"({"services":["service-a"]})")), "409 nothing_to_roll_back");
  EXPECT_EQ(code(home.post("/v1/rollback", R"({"services":["service-a"],"to":"green"})")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v2/services")), "404 unknown_path");
  EXPECT_EQ(code(home.get("/v1/services/")), "404 unknown_path");
  EXPECT_EQ(code(home.get("/v1/services?all=1")), "400 bad_request");
  EXPECT_EQ(code(call(home.socket(), "BREW", "/v1/services")), "405 method_not_allowed");
  EXPECT_EQ(call(home.socket(), "DELETE", "/v1/flip").allow, "POST");
  EXPECT_EQ(code(home.post("/v1/services/service-a", "{}")), "405 method_not_allowed");
  EXPECT_EQ(home.get("/v1/services").body["generation"], 0);
}

TEST_F(ApiTest, FlowQueriesAreChecked) {
  EXPECT_EQ(home.get("/v1/flows").body,
            nlohmann::json::parse(R"({"flows":[],"matched":0,"truncated":false})"));
  EXPECT_EQ(code(home.get("/v1/flows?service=nope")), "404 unknown_service");
  EXPECT_EQ(code(home.get("/v1/flows?colour=red")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v1/flows?backend=198.18.2.11")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v1/flows?client=me")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v1/flows?limit=-1")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v1/flows?limit=1000000")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v1/flows?color=blue")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v1/flows?limit=%")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v1/flows?service=%ff")), "404 unknown_service")
      << "an answer that quotes what is no UTF-8";
}

TEST_F(ApiTest, AConnectionServesManyRequests) {
  EXPECT_EQ(call_again_and_again(home.socket(), "/v1/services", 200), 200);
}

TEST_F(ApiTest, LimitsAreAnswered) {
  const std::string large(100'000, 'x');
  EXPECT_EQ(home.post("/v1/flip", large).status, 413u);
  EXPECT_TRUE(send_raw(home.socket(), "GET /v1/version HTTP/1.1\r\nX: " + large + "\r\n\r\n")
                  .starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(send_raw(home.socket(), "what is this\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_EQ(send_raw(home.socket(), "GET /v1/ver"), "") << "a client that went away";
  EXPECT_EQ(home.get("/v1/version").status, 200u);
}

TEST_F(ApiTest, OfRacingFlipsExactlyOneWins) {
  constexpr int kRacers = 8;
  std::vector<std::thread> racers;
  std::atomic<int> won{0}, conflicts{0};
  for (int i = 0; i < kRacers; ++i) {
    racers.emplace_back([&] {
      const ApiReply reply =
          home.post("/v1/flip", R"({"services":["service-a"],"to":"green","if_generation":0})");
      won += reply.status == 200;
      conflicts += reply.status == 409;
    });
  }
  for (std::thread& racer : racers) racer.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(conflicts, kRacers - 1);
  EXPECT_EQ(home.get("/v1/services").body["generation"], 1);
}

}  // namespace
}  // namespace teal
