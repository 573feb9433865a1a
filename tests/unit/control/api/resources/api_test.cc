// SPDX-License-Identifier: Apache-2.0
//
// The API on its sockets, without a dataplane: reads, refusals, and the state after a change.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include <sys/stat.h>
#include <unistd.h>

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

TEST_F(ApiTest, ControlSocketIsForTheGroupStatusSocketForAll) {
  struct stat status {};
  ASSERT_EQ(::stat(home.socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
  ASSERT_EQ(::stat((home.run_dir() + "/status.sock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0666u);
}

TEST_F(ApiTest, TheStatusSocketIsReadOnly) {
  const std::string socket = home.run_dir() + "/status.sock";
  EXPECT_EQ(call(socket, "GET", "/v1/services").body, home.get("/v1/services").body);
  const ApiReply reply = call(socket, "POST", "/v1/flip", R"({"services":["service-a"],"to":"green"})");
  EXPECT_EQ(code(reply), "403 read_only");
  EXPECT_EQ(reply.body["error"]["hint"], "send changes to " + home.socket());
  EXPECT_EQ(home.get("/v1/services").body["generation"], 0);
}

TEST_F(ApiTest, ListsItsResources) {
  const nlohmann::json resources = home.get("/v1").body["resources"];
  EXPECT_EQ(resources.size(), 25u);
  for (const auto& resource : resources) {
    if (resource["method"] != "GET" || resource["path"] == "/v1/events" || resource["path"] == "/metrics")
      continue;
    std::string path = resource["path"];
    if (const size_t name = path.find("{name}"); name != std::string::npos)
      path.replace(name, 6, "service-a");
    EXPECT_EQ(home.get(path).status, 200u) << path;
  }
}

TEST_F(ApiTest, ShowsItsVersion) {
  const ApiReply reply = home.get("/v1/version");
  EXPECT_EQ(reply.body["version"], TEAL_VERSION);
  EXPECT_EQ(reply.body["pid"], getpid());
  EXPECT_GE(reply.body["uptime_seconds"], 0.0);
}

TEST_F(ApiTest, ShowsServicesWithoutADataplane) {
  const nlohmann::json body = home.get("/v1/services").body;
  EXPECT_EQ(body["generation"], 0);
  EXPECT_EQ(body["dataplane"]["running"], false);
  EXPECT_EQ(body["dataplane"]["flow_entries"], 0);
  ASSERT_EQ(body["services"].size(), 3u);
  EXPECT_EQ(body["groups"],
            nlohmann::json::parse(R"([{"name":"shop","services":["service-a","service-b"]}])"));
  EXPECT_EQ(body["lock"], nullptr);
  EXPECT_EQ(body["retired_services"], nlohmann::json::array());
  EXPECT_EQ(body["config"]["path"], home.dir().file("teal.toml"));
  EXPECT_EQ(body["config"]["loaded_at"].get<std::string>().size(), 24u);
  EXPECT_EQ(body["config"]["file_differs"], false);
  std::string expected_text = R"({
    "name":"service-a","id":0,"vip":"198.18.0.10:80","protocol":"tcp","active":"blue","preview":null,"previous":null,"undo":null,"generation_of_flip":0,
    "flipped_at":null,"file_active":"blue","drift":[],"drain":{"timeout_seconds":300.0,"then":"wait","udp":"stick"},
    "phase":"steady","ramp":null,"waiting_release":null,"trial":null,"finding":null,"draining":null,"drained":true,"colours":{
      "blue":{"mode":"normal","flows":0,"closing":0,"new_flows":0,"packets":{"to_backend":0,"to_client":0},"bytes":{"to_backend":0,"to_client":0},TIMES
        "backends":[{"address":"198.18.2.11:8080","id":0,"state":"ready","weight":1,"file_weight":1,"flows":0,"closing":0,
                     "next_hop":"unresolved","health":null,OUTCOMES},
                    {"address":"198.18.2.12:8080","id":1,"state":"ready","weight":1,"file_weight":1,"flows":0,"closing":0,
                     "next_hop":"unresolved","health":null,OUTCOMES}]},
      "green":{"mode":"normal","flows":0,"closing":0,"new_flows":0,"packets":{"to_backend":0,"to_client":0},"bytes":{"to_backend":0,"to_client":0},TIMES
        "backends":[{"address":"198.18.2.21:8080","id":2,"state":"ready","weight":1,"file_weight":1,"flows":0,"closing":0,
                     "next_hop":"unresolved","health":null,OUTCOMES}]}}})";
  const auto fill_in = [&](const std::string& word, const std::string& text) {
    for (size_t at = 0; (at = expected_text.find(word, at)) != std::string::npos; at += text.size())
      expected_text.replace(at, word.size(), text);
  };
  fill_in("TIMES", R"("times":{"handshake":{"count":0,"p50_us":null,"p99_us":null},)"
                   R"("first_answer":{"count":0,"p50_us":null,"p99_us":null}},)");
  fill_in("OUTCOMES", R"("outcomes":{"begun":0,"answered":0,"refused":0,"unanswered":0,"reset":0,)"
                      R"("without_reply":0,"answered_data":0,"slow":0})");
  const nlohmann::json expected = nlohmann::json::parse(expected_text);
  EXPECT_EQ(body["services"][0], expected) << body["services"][0].dump(1);
  EXPECT_EQ(home.service("service-a"), expected);
  EXPECT_EQ(home.service("service-b")["vip"], "[fd18::10]:80");
}

TEST_F(ApiTest, TheSummaryHasTheFieldsOfAList) {
  const nlohmann::json body = home.get("/v1/services?view=summary").body;
  EXPECT_EQ(body["generation"], 0);
  EXPECT_EQ(body["lock"], nullptr);
  EXPECT_EQ(body["dataplane"], home.get("/v1/services").body["dataplane"]);
  EXPECT_EQ(body["groups"], home.get("/v1/services").body["groups"]);
  ASSERT_EQ(body["services"].size(), 3u);
  EXPECT_EQ(body["services"][0],
            nlohmann::json::parse(R"({"name":"service-a","vip":"198.18.0.10:80","protocol":"tcp",
                                     "active":"blue","backends":{"blue":2,"green":1}})"));
  EXPECT_EQ(code(home.get("/v1/services?view=short")), "400 bad_request");
}

TEST_F(ApiTest, ADryRunChangesNothing) {
  const std::string flip = R"({"services":["service-a"],"to":"green","dry_run":true})";
  const ApiReply reply = home.post("/v1/flip", flip);
  ASSERT_EQ(reply.status, 200u) << reply.body;
  EXPECT_EQ(reply.body["dry_run"], true);
  EXPECT_EQ(reply.body["generation"], 0);
  EXPECT_EQ(reply.body["changed"][0]["to"], "green");
  for (const auto& [path, body] : std::map<std::string, std::string>{
           {"/v1/lock", R"({"reason":"x","dry_run":true})"},
           {"/v1/reload", R"({"dry_run":true})"},
           {"/v1/backend",
            R"({"service":"service-a","colour":"blue","address":"198.18.2.11:8080","state":"maint",
                               "dry_run":true})"}})
    EXPECT_EQ(home.post(path, body).status, 200u) << path;
  EXPECT_EQ(home.service("service-a")["active"], "blue");
  EXPECT_EQ(home.service("service-a")["colours"]["blue"]["backends"][0]["state"], "ready");
  EXPECT_EQ(home.get("/v1/services").body["lock"], nullptr);
  EXPECT_EQ(home.get("/v1/history").body["changes"].size(), 0u);
}

TEST_F(ApiTest, ALockRefusesChangesUntilUnlock) {
  EXPECT_EQ(code(home.post("/v1/lock", "{}")), "400 bad_request") << "a lock needs a reason";
  const ApiReply locked = home.post("/v1/lock", R"({"reason":"audit"})");
  ASSERT_EQ(locked.status, 200u) << locked.body;
  EXPECT_EQ(locked.body["lock"]["reason"], "audit");
  EXPECT_EQ(locked.body["lock"]["uid"], ::getuid());
  nlohmann::json seen = home.get("/v1/services?view=summary").body["lock"];
  seen["user"] = locked.body["lock"]["user"];  // it is looked up after the answer
  EXPECT_EQ(seen, locked.body["lock"]);
  EXPECT_EQ(code(home.flip("service-a", "green")), "423 locked");
  EXPECT_EQ(home.post("/v1/unlock", "").body["lock"], nullptr) << "an empty body is an empty object";
  EXPECT_EQ(home.flip("service-a", "green").status, 200u);
}

TEST_F(ApiTest, SetsABackendAndShowsTheFilesWeight) {
  const std::string backend = R"("service":"service-a","colour":"blue","address":"198.18.2.11:8080")";
  ASSERT_EQ(home.post("/v1/backend", "{" + backend + R"(,"weight":7})").status, 200u);
  nlohmann::json shown = home.service("service-a")["colours"]["blue"]["backends"][0];
  EXPECT_EQ(shown["weight"], 7);
  EXPECT_EQ(shown["file_weight"], 1);
  ASSERT_EQ(home.post("/v1/backend", "{" + backend + R"(,"weight":"file","state":"drain"})").status, 200u);
  shown = home.service("service-a")["colours"]["blue"]["backends"][0];
  EXPECT_EQ(shown["weight"], 0) << "in force";
  EXPECT_EQ(shown["file_weight"], 1);
  EXPECT_EQ(shown["state"], "drain");
  EXPECT_EQ(home.service("service-a")["drift"].size(), 1u);
  for (const char* wrong :
       {R"(,"weight":"heavy"})", R"(,"weight":-1})", R"(,"weight":100000})", R"(,"state":"up"})", "}"})
    EXPECT_EQ(code(home.post("/v1/backend", "{" + backend + wrong)), "400 bad_request") << wrong;
  EXPECT_EQ(
      code(home.post("/v1/backend",
                     R"({"service":"service-a","colour":"blue","address":"198.18.2.99:80","weight":1})")),
      "404 unknown_backend");
  EXPECT_EQ(code(home.post("/v1/backend",
                           R"({"service":"service-a","colour":"blue","address":"here","weight":1})")),
            "400 bad_request");
}

TEST_F(ApiTest, HistoryHasPages) {
  for (int i = 0; i < 25; ++i) ASSERT_EQ(home.flip("service-a", i % 2 == 0 ? "green" : "blue").status, 200u);
  ASSERT_EQ(home.post("/v1/flip", R"({"services":["service-b"],"to":"green","reason":"caf\u00e9"})").status,
            200u);
  nlohmann::json body = home.get("/v1/history").body;
  EXPECT_EQ(body["changes"].size(), 26u);
  EXPECT_EQ(body["truncated"], false);
  const nlohmann::json latest = body["changes"][0];
  EXPECT_EQ(latest["generation"], 26);
  EXPECT_EQ(latest["verb"], "flip");
  EXPECT_EQ(latest["reason"], "caf\u00e9");
  EXPECT_EQ(latest["uid"], ::getuid());
  EXPECT_EQ(latest["result"], "done");
  EXPECT_EQ(latest["changes"][0]["service"], "service-b");
  EXPECT_GT(latest["duration_us"], 0);
  EXPECT_EQ(home.get("/v1/history?service=service-b").body["changes"], nlohmann::json::array({latest}));

  std::vector<int64_t> ids;
  std::string before;
  for (bool more = true; more;) {
    body = home.get("/v1/history?limit=7" + before).body;
    for (const auto& change : body["changes"]) ids.push_back(change["id"]);
    more = body["truncated"];
    before = "&before=" + std::to_string(ids.back());
    ASSERT_LE(ids.size(), 26u);
  }
  EXPECT_EQ(ids.size(), 26u);
  EXPECT_TRUE(std::is_sorted(ids.rbegin(), ids.rend()));
  EXPECT_EQ(home.get("/v1/history?limit=26").body["truncated"], false);
  EXPECT_EQ(code(home.get("/v1/history?limit=0")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v1/history?service=nope")), "404 unknown_service");
  EXPECT_EQ(code(home.get("/v1/history?before=x")), "400 bad_request");
}

TEST_F(ApiTest, ShowsDrainsAndChecksRequestsForThem) {
  const nlohmann::json without_drain = home.get("/v1/services/service-a/drain").body;
  EXPECT_EQ(
      without_drain,
      nlohmann::json::parse(
          R"({"service":"service-a","active":"blue","dataplane_running":false,"idle_flows":0,"draining":null})"));
  EXPECT_EQ(code(home.get("/v1/services/nope/drain")), "404 unknown_service");
  EXPECT_EQ(code(home.get("/v1/services//drain")), "404 unknown_path");
  for (const char* wrong :
       {R"({"services":["service-a"],"timeout":"2"})", R"({"services":["service-a"],"timeout":"1ms"})",
        R"({"services":["service-a"],"timeout":"9999h"})", R"({"services":["service-a"],"then":"stop"})",
        R"({"services":["service-a"],"timeout":120})"})
    EXPECT_EQ(code(home.post("/v1/drain", wrong)), "400 bad_request") << wrong;
  EXPECT_EQ(code(home.post("/v1/drain", R"({"services":["service-a"],"then":"wait","from_now":true})")),
            "400 bad_request");
  const nlohmann::json nothing = home.post("/v1/drain", R"({"services":["service-a"],"timeout":"2m"})").body;
  EXPECT_EQ(nothing["nothing_drains"], nlohmann::json({"service-a"}));
  EXPECT_EQ(nothing["generation"], 0) << "none is spent";
}

TEST_F(ApiTest, AFlipWithoutADataplaneIsRecordedWithAWarning) {
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

TEST_F(ApiTest, AFlipToTheActiveColourChangesNothing) {
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

TEST_F(ApiTest, ARefusedRequestChangesNothing) {
  EXPECT_EQ(code(home.get("/v1/services/nope")), "404 unknown_service");
  EXPECT_EQ(message(home.get("/v1/services/nope")),
            "unknown service \"nope\"; the services are: service-a, service-b, service-c");
  EXPECT_EQ(code(home.flip("nope", "green")), "404 unknown_service");
  EXPECT_EQ(code(home.flip("service-a", "red")), "400 bad_request");
  EXPECT_EQ(code(home.post("/v1/flip", R"({"group":"shoe","to":"green"})")), "404 unknown_group");
  EXPECT_EQ(code(home.post("/v1/flip", R"({"services":["service-a"]})")), "400 bad_request");
  EXPECT_EQ(code(home.post("/v1/flip", R"({"to":"green"})")), "400 bad_request");
  EXPECT_EQ(code(home.post("/v1/flip", R"({"services":["service-a"],"to":"green","colour":true})")),
            "400 bad_request");
  EXPECT_EQ(code(home.post("/v1/flip", "not json")), "400 bad_request");
  EXPECT_EQ(code(home.post("/v1/flip", R"({"services":["service-a"],"to":"green","if_generation":7})")),
            "409 conflict");
  EXPECT_EQ(code(home.post("/v1/rollback", R"({"services":["service-a"],"to":"green"})")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v2/services")), "404 unknown_path");
  EXPECT_EQ(code(home.get("/v1/services/")), "404 unknown_path");
  EXPECT_EQ(code(home.get("/v1/services?all=1")), "400 bad_request");
  EXPECT_EQ(code(home.get("/v1/services/service-a/drain/x")), "404 unknown_path");
  EXPECT_EQ(code(call(home.socket(), "BREW", "/v1/services")), "405 method_not_allowed");
  EXPECT_EQ(call(home.socket(), "DELETE", "/v1/flip").allow, "POST, OPTIONS");
  EXPECT_EQ(call(home.socket(), "DELETE", "/v1/services").allow, "GET, HEAD, OPTIONS");
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
      << "the answer quotes bytes that are not UTF-8";
}

TEST_F(ApiTest, OptionsListTheMethods) {
  const ApiReply flip = call(home.socket(), "OPTIONS", "/v1/flip");
  EXPECT_EQ(flip.status, 204u);
  EXPECT_EQ(flip.allow, "POST, OPTIONS");
  EXPECT_EQ(call(home.socket(), "OPTIONS", "*").allow, "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(code(call(home.socket(), "OPTIONS", "/v1/nope")), "404 unknown_path");
}

TEST_F(ApiTest, AConnectionServesManyRequests) {
  EXPECT_EQ(call_repeatedly(home.socket(), "/v1/services", 200), 200);
}

TEST_F(ApiTest, RefusesLargeAndInvalidRequests) {
  const std::string large(200'000, 'x');
  EXPECT_EQ(home.post("/v1/flip", large).status, 413u);
  EXPECT_TRUE(send_raw(home.socket(), "GET /v1/version HTTP/1.1\r\nX: " + large + "\r\n\r\n")
                  .starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(send_raw(home.socket(), "what is this\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_EQ(send_raw(home.socket(), "GET /v1/ver"), "") << "the client went away";
  EXPECT_EQ(home.get("/v1/version").status, 200u);
}

TEST_F(ApiTest, OfConcurrentFlipsExactlyOneSucceeds) {
  constexpr int kRacers = 8;
  std::vector<std::thread> racers;
  racers.reserve(kRacers);
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
