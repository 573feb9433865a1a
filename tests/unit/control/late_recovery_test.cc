// SPDX-License-Identifier: Apache-2.0
//
// A start that could not use the segment or the database is completed later, without the loss of a change.
#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "control/publish/publisher.h"
#include "control/state/state.h"
#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/faulty_disk.h"

namespace teal {
namespace {

constexpr const char* kBackend = "198.18.2.12:8080";  // the second blue backend of service-a

class LateRecoveryTest : public testing::Test {
 protected:
  LateRecoveryTest() { std::filesystem::create_directories(home.run_dir()); }

  // Returns the API's view of the second blue backend of service-a.
  nlohmann::json backend() { return home.service("service-a")["colours"]["blue"]["backends"][1]; }
  ApiReply set_weight(uint32_t weight) {
    return home.post("/v1/backend", R"({"service":"service-a","colour":"blue","address":")" +
                                        std::string(kBackend) + R"(","weight":)" + std::to_string(weight) +
                                        "}");
  }
  nlohmann::json changes() { return home.get("/v1/history?limit=10").body["changes"]; }

  DaemonHome home;
};

// teald starts while the segment has another ABI.
class RefusedAtTheStart : public LateRecoveryTest {
 protected:
  void refuse() { dataplane.segment().header().abi = abi + 1; }
  void allow() { dataplane.segment().header().abi = abi; }

  FakeDataplane dataplane{home.run_dir()};
  const uint64_t abi = dataplane.segment().header().abi;
};

// Changes come one after the other before, while and after the start is completed.
TEST_F(RefusedAtTheStart, NoAnsweredChangeIsLostWhenTheSegmentIsUsable) {
  { const RunningDaemon daemon(home); }
  refuse();
  const RunningDaemon daemon(home);
  EXPECT_EQ(set_weight(100).status, 503u);
  allow();
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  for (uint32_t weight = 2; weight < 20 || std::chrono::steady_clock::now() < end; ++weight) {
    ASSERT_EQ(set_weight(weight).status, 200u) << "the first change finds the segment";
    ASSERT_EQ(backend()["weight"], weight);
  }
}

TEST_F(RefusedAtTheStart, TheFirstChangeSeesTheWholeState) {
  {
    const RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
    ASSERT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
  }
  refuse();
  const RunningDaemon daemon(home);
  allow();
  const ApiReply flip = home.flip("service-b", "green");
  EXPECT_EQ(flip.body["error"]["code"], "locked") << flip.body;
}

// teald was killed after it had published generation `next`, and before it recorded the result. The file has
// changed since, so there is something to publish at the start, too.
TEST_F(RefusedAtTheStart, AnOpenIntentIsTakenOverBeforeAnythingIsPublished) {
  { const RunningDaemon daemon(home); }
  const uint64_t next = dataplane.generation() + 1;
  {
    State state = *State::open(home.dir().file("state"));
    BackendState maint = state.load()->backends[1];
    ASSERT_EQ(to_string(maint.socket), kBackend);
    maint.members[0].admin = AdminState::kMaint;
    Intent intent{next, "backend", "[]", "", {}};
    intent.record.backends.push_back(record_of(maint));
    ASSERT_TRUE(state.intend(intent));
    Publisher publisher(home.run_dir());
    ASSERT_TRUE(publisher.refresh());
    const TrafficSplit split = dataplane.splits().services[0];
    ASSERT_TRUE(FakeDataplane::wait_for([&] {
      return publisher.publish_splits(next, std::vector<SplitUpdate>{{0, split}});
    }));
  }
  std::string toml = kShopToml;
  toml.replace(toml.find("198.18.2.13:8080"), 16, "198.18.2.14:8080");
  home.write_config(toml);
  refuse();
  const RunningDaemon daemon(home);
  allow();
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return dataplane.generation() > next; }));
  EXPECT_EQ(backend()["state"], "maint");
  EXPECT_TRUE(FakeDataplane::wait_for([&] {
    const nlohmann::json all = changes();
    return std::any_of(all.begin(), all.end(), [&](const nlohmann::json& change) {
      return change["generation"] == next && change["result"] == "done";
    });
  }));
}

// A rollback was made while the disk was full, and the disk is still full at the next start. `with_segment`:
// the segment has the rollback, too.
class UnrecordedAtTheStart : public LateRecoveryTest, public testing::WithParamInterface<bool> {
 protected:
  UnrecordedAtTheStart() {
    static const FaultyDisk disk;
    FaultyDisk::use(control_file);
    if (GetParam()) dataplane.emplace(home.run_dir());
  }
  void set_disk(const std::string& word) { FaultyDisk::set(control_file, word); }

  const std::string control_file = home.dir().file("disk");
  std::optional<FakeDataplane> dataplane;
};

INSTANTIATE_TEST_SUITE_P(Each, UnrecordedAtTheStart, testing::Bool(), [](const auto& info) {
  return std::string(info.param ? "WithASegment" : "WithoutASegment");
});

TEST_P(UnrecordedAtTheStart, ARollbackOutlivesTheRepairOfTheDisk) {
  {
    const RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
    ASSERT_EQ(home.flip("service-b", "green").status, 200u);
    set_disk("full");
    const ApiReply rollback =
        home.post("/v1/rollback", R"({"services":["service-a"],"reason":"errors","request_id":"back-1"})");
    ASSERT_EQ(rollback.status, 200u) << rollback.body;
    ASSERT_EQ(rollback.body["recorded"], false);
  }
  const RunningDaemon daemon(home);
  ASSERT_EQ(home.service("service-a")["active"], "blue");
  ASSERT_EQ(home.post("/v1/rollback", R"({"services":["service-b"],"reason":"errors"})").status, 200u);
  const nlohmann::json generation = home.get("/v1/services").body["generation"];
  set_disk("works");
  ASSERT_TRUE(home.comes_true([&] { return home.get("/v1/services").body["storage"]["error"].is_null(); }));
  EXPECT_EQ(home.service("service-a")["active"], "blue");
  EXPECT_EQ(home.service("service-b")["active"], "blue");
  EXPECT_GE(home.get("/v1/services").body["generation"], generation);
  size_t rollbacks = 0;
  for (const nlohmann::json& change : changes()) {
    if (change["verb"] != "rollback") continue;
    EXPECT_EQ(change["reason"], "errors") << "from the copy: the segment has no reasons";
    ++rollbacks;
  }
  EXPECT_EQ(rollbacks, 2u);
}

// The lock publishes nothing, and the database, which can be read, still has it.
TEST_P(UnrecordedAtTheStart, AnUnlockOutlivesTheRepairOfTheDisk) {
  {
    const RunningDaemon daemon(home);
    ASSERT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
    set_disk("fails");
    ApiReply unlock = home.post("/v1/unlock", "{}");
    if (unlock.status == 503) unlock = home.post("/v1/unlock", "{}");  // the disk was not known to be bad
    ASSERT_EQ(unlock.status, 200u) << unlock.body;
    ASSERT_EQ(unlock.body["recorded"], false);
  }
  {
    const RunningDaemon daemon(home);
    EXPECT_TRUE(home.get("/v1/services").body["lock"].is_null());
    set_disk("works");
    ASSERT_TRUE(home.comes_true([&] { return home.get("/v1/services").body["storage"]["error"].is_null(); }));
  }
  std::filesystem::remove_all(home.dir().file("run/state.copy"));
  const RunningDaemon daemon(home);
  EXPECT_TRUE(home.get("/v1/services").body["lock"].is_null()) << "the database has it, too";
}

// An upgrade that has other rules, while the database is lost. The file has another service at its top.
TEST_F(LateRecoveryTest, WithoutADatabaseAndAPublicationTheFlowsSayWhatTheirIdsMean) {
  Socket vip = *parse_socket("198.18.0.10:80"), backend = *parse_socket("198.18.2.21:8080");
  vip.protocol = backend.protocol = kProtocolTcp;
  uint16_t service_id = 0, backend_id = 0;
  {
    FakeDataplane dataplane(home.run_dir());
    const RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
    service_id = dataplane.ruleset().find_service(vip);
    backend_id = dataplane.ruleset().find_backend(backend);
  }
  std::string toml = kShopToml;
  toml.insert(toml.find("[[service]]"),
              "[[service]]\nname = \"top\"\nvip = \"198.18.0.99:80\"\nprotocol = \"tcp\"\n"
              "blue = [\"198.18.2.31:80\"]\ngreen = [\"198.18.2.41:80\"]\n\n");
  home.write_config(toml);
  for (const char* path : {"state", "run/state.copy", "run/segment", "run/segment.tmpfs"})
    std::filesystem::remove_all(home.dir().file(path));
  FakeDataplane dataplane(home.run_dir());
  ASSERT_EQ(dataplane.generation(), 0u);
  const RunningDaemon daemon(home);
  EXPECT_GT(dataplane.generation(), 2u) << "births of flows count in generations";
  EXPECT_EQ(dataplane.ruleset().find_service(vip), service_id);
  EXPECT_EQ(dataplane.ruleset().find_backend(backend), backend_id);
}

}  // namespace
}  // namespace teal
