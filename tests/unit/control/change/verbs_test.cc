// SPDX-License-Identifier: Apache-2.0
//
// The verbs of operators other than a flip: reload, drain, backend, lock, and the rollback to a generation.
// The dataplane adopts everything at once.
#include <future>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {
namespace {

class Verbs : public testing::Test {
 protected:
  Verbs() {
    std::filesystem::create_directories(home.run_dir());
    dataplane.emplace(home.run_dir());
    teald.emplace(home);
  }

  std::string code(const ApiReply& reply) { return reply.body["error"].value("code", "-"); }
  uint64_t generation() { return home.get("/v1/services").body["generation"]; }
  std::string active(const std::string& service) { return home.service(service)["active"]; }
  ApiReply set_backend(const char* colour, const char* address, const std::string& what) {
    return home.post("/v1/backend", std::string(R"({"service":"service-a","colour":")") + colour +
                                        R"(","address":")" + address + "\"," + what + "}");
  }
  void write_with(const std::string& from, const std::string& to) {
    std::string toml = kShopToml;
    toml.replace(toml.find(from), from.size(), to);
    home.write_config(toml);
  }

  DaemonHome home;
  std::optional<FakeDataplane> dataplane;
  std::optional<RunningDaemon> teald;
};

struct Verb {
  const char* path;
  const char* body;  // without the closing brace, for more fields
};
constexpr Verb kVerbs[] = {
    {"/v1/flip", R"({"services":["service-b"],"to":"green")"},
    {"/v1/rollback", R"({"services":["service-a"])"},
    {"/v1/rollback", R"({"to_generation":1,"all":true)"},
    {"/v1/reload", R"({"reason":"r")"},
    {"/v1/drain", R"({"services":["service-a"],"timeout":"7s")"},
    {"/v1/backend", R"({"service":"service-a","colour":"blue","address":"198.18.2.12:8080","state":"drain")"},
};

TEST_F(Verbs, EachOneHasADryRunKnowsConflictsAndIsStoppedByALock) {
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  write_with("198.18.2.13:8080", "198.18.2.33:8080");
  const uint64_t before = generation();
  const auto services = [&] {
    nlohmann::json all = home.get("/v1/services").body["services"];
    for (nlohmann::json& service : all) service.erase("trial");  // its figures change with time
    return all;
  };
  const nlohmann::json seen = services();
  for (const Verb& verb : kVerbs) {
    const std::string body = verb.body;
    const ApiReply dry_run = home.post(verb.path, body + R"(,"dry_run":true})");
    EXPECT_EQ(dry_run.status, 200u) << verb.path << dry_run.body;
    EXPECT_FALSE(dry_run.body.contains("workers")) << "no worker adopts a dry run";
    EXPECT_EQ(dry_run.body["dry_run"], true);
    EXPECT_EQ(dry_run.body["generation"], before);
    EXPECT_EQ(code(home.post(verb.path, body + R"(,"if_generation":1})")), "conflict") << verb.path;
    EXPECT_EQ(services(), seen) << verb.path << ": nothing changed";
    EXPECT_EQ(dataplane->generation(), before);
  }
  ASSERT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
  for (const Verb& verb : kVerbs) {
    const ApiReply reply = home.post(verb.path, std::string(verb.body) + "}");
    EXPECT_EQ(reply.status, 423u) << verb.path;
    EXPECT_EQ(home.post(verb.path, std::string(verb.body) + R"(,"dry_run":true})").status, 423u) << verb.path;
    EXPECT_NE(reply.body["error"]["message"].get<std::string>().find("audit"), std::string::npos)
        << reply.body;
  }
  EXPECT_EQ(generation(), before);
  ASSERT_EQ(home.post("/v1/unlock", "{}").status, 200u);
  dataplane->segment().worker(0).flows[2][1].live = 1;  // a flow on green, for the drain of service-a
  uint64_t locks = 2;                                   // lock and unlock took a number each
  for (const Verb& verb : kVerbs) {
    const uint64_t now = generation();
    const ApiReply reply =
        home.post(verb.path, verb.body + (R"(,"if_generation":)" + std::to_string(now) + "}"));
    EXPECT_EQ(reply.status, 200u) << verb.path << reply.body;
    const bool is_undone_already = std::string(verb.body).find("to_generation") != std::string::npos;
    if (!is_undone_already) {
      EXPECT_EQ(reply.body["generation"], now + 1 + locks) << verb.path << reply.body;
      locks = 0;
    }
  }
}

TEST_F(Verbs, ARollbackToAGenerationTakesBackEveryFlipSince) {
  home.flip("service-a", "green");                             // 2
  home.post("/v1/flip", R"({"group":"shop","to":"green"})");   // 3: service-b
  home.post("/v1/rollback", R"({"services":["service-a"]})");  // 4
  home.flip("service-c", "green");                             // 5
  const ApiReply back = home.post("/v1/rollback", R"({"to_generation":2,"all":true})");
  ASSERT_EQ(back.status, 200u) << back.body;
  EXPECT_EQ(back.body["changed"].size(), 3u) << back.body;
  EXPECT_EQ(active("service-a"), "green");
  EXPECT_EQ(active("service-b"), "blue");
  EXPECT_EQ(active("service-c"), "blue");
  EXPECT_EQ(home.post("/v1/rollback", R"({"to_generation":5,"services":["service-c"]})").status, 200u);
  EXPECT_EQ(active("service-c"), "green");
  EXPECT_EQ(code(home.post("/v1/rollback", R"({"to_generation":999,"all":true})")), "unknown_generation");
}

TEST_F(Verbs, TheActivePoolIsNeverEmptiedByHand) {
  EXPECT_EQ(set_backend("blue", "198.18.2.11:8080", R"("state":"drain")").status, 200u);
  const ApiReply last = set_backend("blue", "198.18.2.12:8080", R"("state":"maint")");
  EXPECT_EQ(last.status, 422u);
  EXPECT_EQ(code(last), "refused");
  EXPECT_EQ(set_backend("blue", "198.18.2.12:8080", R"("weight":0)").status, 422u);

  EXPECT_EQ(set_backend("green", "198.18.2.21:8080", R"("state":"maint")").status, 200u) << "not active";
  EXPECT_EQ(home.flip("service-a", "green").status, 422u) << "it takes no new flows";
  EXPECT_EQ(set_backend("green", "198.18.2.21:8080", R"("state":"ready")").status, 200u);
  EXPECT_EQ(home.flip("service-a", "green").status, 200u);
  EXPECT_EQ(code(set_backend("green", "198.18.2.99:8080", R"("state":"drain")")), "unknown_backend");
}

TEST_F(Verbs, ABackendsWeightAndStateOutliveRestartsAndReloadsAndAreToldAsDrift) {
  set_backend("blue", "198.18.2.11:8080", R"("weight":9)");
  set_backend("blue", "198.18.2.12:8080", R"("state":"maint")");
  const Ruleset& rules = dataplane->ruleset();
  EXPECT_NE(rules.backends[1].flags & kBackendResetBlue, 0) << "in maint its flows are reset";
  EXPECT_EQ(rules.backends[1].flags & kBackendResetGreen, 0);
  for (const bool restart : {false, true}) {
    if (restart) {
      teald.reset();
      teald.emplace(home);
    } else {
      ASSERT_EQ(home.post("/v1/reload", "{}").status, 200u);
    }
    const nlohmann::json service = home.service("service-a");
    EXPECT_EQ(service["colours"]["blue"]["backends"][0]["weight"], 9);
    EXPECT_EQ(service["colours"]["blue"]["backends"][0]["file_weight"], 1);
    EXPECT_EQ(service["colours"]["blue"]["backends"][1]["state"], "maint");
    EXPECT_EQ(service["drift"].size(), 2u) << service["drift"];
  }
  EXPECT_EQ(set_backend("blue", "198.18.2.11:8080", R"("weight":"file")").status, 200u);
  EXPECT_EQ(home.service("service-a")["colours"]["blue"]["backends"][0]["weight"], 1);
}

TEST_F(Verbs, ABadFileReloadsNothingAndTellsAllItsErrors) {
  home.write_config(std::string(kShopToml) + "\n[[service]]\nname = \"X\"\nvip = \"198.18.0.10:70000\"\n");
  const ApiReply reply = home.post("/v1/reload", "{}");
  EXPECT_EQ(reply.status, 422u);
  EXPECT_EQ(code(reply), "bad_config");
  EXPECT_GT(reply.body["error"]["details"].size(), 2u);
  EXPECT_EQ(generation(), 1u);
  EXPECT_TRUE(home.comes_true([&] {
    return home.get("/v1/services").body["config"]["file_differs"] == true;
  })) << "the edit is seen";
}

TEST_F(Verbs, AReloadPublishesRetiresAndComesBack) {
  dataplane->segment().worker(0).flows[1][0].live = 3;  // on 198.18.2.12
  write_with("\"198.18.2.12:8080\"", "\"198.18.2.14:8080\"");
  const ApiReply dry_run = home.post("/v1/reload", R"({"dry_run":true})");
  const nlohmann::json retired = dry_run.body["plan"]["retired"][0];
  EXPECT_EQ(retired["address"], "198.18.2.12:8080");
  EXPECT_EQ(retired["flows"], 3);
  ASSERT_EQ(home.post("/v1/reload", "{}").status, 200u);
  EXPECT_EQ(dataplane->ruleset().find_backend(tcp("198.18.2.12:8080")), 1)
      << "still classified: flows hold it";
  home.write_config(kShopToml);
  ASSERT_EQ(home.post("/v1/reload", "{}").status, 200u);
  const nlohmann::json backend = home.service("service-a")["colours"]["blue"]["backends"][1];
  EXPECT_EQ(backend["id"], 1) << "it is known again";
  EXPECT_FALSE(backend.value("retired", false));
}

TEST_F(Verbs, AReloadThatWouldEmptyTheActivePoolIsRefused) {
  set_backend("blue", "198.18.2.12:8080", R"("state":"drain")");
  write_with("\"198.18.2.11:8080\", ", "");
  const ApiReply reply = home.post("/v1/reload", "{}");
  EXPECT_EQ(reply.status, 422u);
  EXPECT_EQ(code(reply), "refused");
  EXPECT_EQ(home.service("service-a")["colours"]["blue"]["backends"].size(), 2u);
}

TEST_F(Verbs, ReloadsThatRaceFlipsTakeTurns) {
  std::atomic<int> failures{0};
  std::mutex mutex;
  std::multiset<uint64_t> generations;
  const auto count = [&](const ApiReply& reply) {
    if (reply.status != 200) ++failures;
    const std::scoped_lock lock(mutex);
    generations.insert(reply.body.value("generation", uint64_t{0}));
  };
  std::thread flips([&] {
    for (int i = 0; i < 50; ++i) count(home.flip("service-a", i % 2 == 0 ? "green" : "blue"));
  });
  for (int i = 0; i < 25; ++i) {
    home.write_config(kShopToml);
    if (i % 2 == 0) write_with("198.18.2.13:8080", "198.18.2.33:8080");
    count(home.post("/v1/reload", "{}"));
  }
  flips.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(std::set<uint64_t>(generations.begin(), generations.end()).size(), 75u)
      << "each its own generation";
  EXPECT_EQ(active("service-a"), "blue");
}

// A drain that ends must be certain: the numbers of flows are exact only while a dataplane runs that has
// counted its flows.
TEST_F(Verbs, AServiceIsDrainedOnceItsFlowsAreCountedAndNoneIsLeft) {
  std::atomic<uint64_t>& counted = dataplane->segment().header().counted_epoch;
  const uint64_t epoch = counted;
  FlowCount& blue = dataplane->segment().worker(0).flows[0][0];
  blue.live = 3;
  EXPECT_EQ(home.service("service-a")["drained"], true) << "it was never flipped";
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  EXPECT_EQ(home.service("service-a")["drained"], false) << "blue has flows that are older than the flip";
  blue.live = 0;
  EXPECT_EQ(home.service("service-a")["drained"], true);
  counted = 0;  // a start of the dataplane has not counted its flows yet
  EXPECT_EQ(home.service("service-a")["draining"], nullptr);
  EXPECT_EQ(home.service("service-a")["drained"], false);
  counted = epoch;
  EXPECT_EQ(home.service("service-a")["drained"], true);
  dataplane->hold_still(
      true);  // a worker that has not adopted a flip may still begin flows on the old colour
  auto flip = std::async(std::launch::async, [&] { return home.flip("service-a", "blue"); });
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return active("service-a") == "blue"; }));
  EXPECT_EQ(home.service("service-a")["drained"], false);
  dataplane->hold_still(false);
  EXPECT_EQ(flip.get().status, 200u);
  EXPECT_EQ(home.service("service-a")["drained"], true);
  dataplane->die();
  EXPECT_EQ(home.service("service-a")["drained"], false);
}

TEST_F(Verbs, ADrainThatEndsWithResetDoesSoByAPublicationAtItsDeadline) {
  home.flip("service-a", "green");
  dataplane->segment().worker(0).flows[0][0].live = 2;
  const ApiReply drain =
      home.post("/v1/drain", R"({"services":["service-a"],"timeout":"30s","then":"reset"})");
  ASSERT_EQ(drain.status, 200u) << drain.body;
  EXPECT_EQ(dataplane->splits().services[0].reset_before, 0u);
  home.clock().skip(std::chrono::seconds(30));
  ASSERT_TRUE(home.comes_true([&] { return dataplane->splits().services[0].reset_before != 0; }));
  EXPECT_EQ(dataplane->splits().services[0].reset_before, dataplane->splits().services[0].flip_generation);
  EXPECT_EQ(home.service("service-a")["draining"]["state"], "resetting");
  const auto is_recorded = [&] {  // with its result, after the publication
    return home.get("/v1/history?limit=1").body["changes"][0]["verb"] == "reset";
  };
  EXPECT_TRUE(FakeDataplane::wait_for(is_recorded));
  home.flip("service-a", "blue");
  EXPECT_EQ(dataplane->splits().services[0].reset_before, 0u) << "a flip back stops it";
}

TEST_F(Verbs, TheHistoryTellsWhoDidWhatAndHowItEnded) {
  home.post("/v1/flip", R"({"services":["service-a"],"to":"green","reason":"release 42"})");
  const nlohmann::json row = home.get("/v1/history?service=service-a").body["changes"][0];
  EXPECT_EQ(row["verb"], "flip");
  EXPECT_EQ(row["reason"], "release 42");
  EXPECT_EQ(row["uid"], getuid());
  EXPECT_EQ(row["result"], "done");
  EXPECT_EQ(row["changes"].dump(), R"([{"from":"blue","service":"service-a","to":"green"}])");
  EXPECT_GT(row["duration_us"], 0);
}

}  // namespace
}  // namespace teal
