// SPDX-License-Identifier: Apache-2.0
//
// A start of teald reads the config file as a reload does: what refuses the file at a reload refuses it at a
// start, too, and teald goes on with the latest good config.
#include <gtest/gtest.h>

#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/taken_port.h"

namespace teal {
namespace {

class Start : public testing::Test {
 protected:
  Start() {
    std::filesystem::create_directories(home.run_dir());
    dataplane.emplace(home.run_dir());
    teald.emplace(home);
  }
  void write_with(const std::string& from, const std::string& to) {
    std::string toml = kShopToml;
    toml.replace(toml.find(from), from.size(), to);
    home.write_config(toml);
  }
  void restart() {
    teald.reset();
    teald.emplace(home);
  }
  nlohmann::json config() { return home.get("/v1/services").body["config"]; }
  // Why the start did not take over the file; "": it did.
  std::string held_back() { return config()["held_back"].is_string() ? config()["held_back"] : ""; }
  bool in_force(const std::string& backend) {
    return dataplane->ruleset().find_backend(tcp(backend)) != kNoId;
  }
  bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  DaemonHome home;
  std::optional<FakeDataplane> dataplane;
  std::optional<RunningDaemon> teald;
};

TEST_F(Start, UnderALockAppliesNoOtherFile) {
  ASSERT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
  write_with("198.18.2.13:8080", "198.18.2.33:8080");
  restart();
  EXPECT_TRUE(in_force("198.18.2.13:8080"));
  EXPECT_FALSE(in_force("198.18.2.33:8080"));
  EXPECT_EQ(dataplane->generation(), 1u);
  EXPECT_TRUE(contains(held_back(), "audit")) << config();
  EXPECT_EQ(config()["file_differs"], true);
  EXPECT_TRUE(config()["file_errors"].empty());

  restart();
  EXPECT_TRUE(in_force("198.18.2.13:8080")) << "a second start finds the same";
  EXPECT_TRUE(contains(held_back(), "audit"));
  ASSERT_EQ(home.post("/v1/unlock", "{}").status, 200u);
  ASSERT_EQ(home.post("/v1/reload", "{}").status, 200u);
  EXPECT_TRUE(in_force("198.18.2.33:8080"));
  EXPECT_EQ(held_back(), "");
  EXPECT_EQ(config()["file_differs"], false);
}

TEST_F(Start, UnderALockTakesAFileThatChangesNothing) {
  ASSERT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
  home.write_config(std::string(kShopToml) + "# a comment\n");
  restart();
  EXPECT_EQ(held_back(), "");
  EXPECT_EQ(config()["file_differs"], false);
}

TEST_F(Start, WithoutALockAppliesTheFile) {
  write_with("198.18.2.13:8080", "198.18.2.33:8080");
  restart();
  EXPECT_TRUE(in_force("198.18.2.33:8080"));
  EXPECT_EQ(held_back(), "");
}

TEST_F(Start, DoesNotEmptyTheActivePool) {
  ASSERT_EQ(
      home.post("/v1/backend",
                R"({"service":"service-a","colour":"blue","address":"198.18.2.12:8080","state":"drain"})")
          .status,
      200u);
  write_with("\"198.18.2.11:8080\", ", "");
  restart();
  EXPECT_TRUE(in_force("198.18.2.11:8080"));
  EXPECT_TRUE(contains(held_back(), "service-a")) << config();
}

TEST_F(Start, RefusesAFileWhoseDataplanePartIsBad) {
  write_with("workers = 1", "workers = 1000");
  restart();
  EXPECT_EQ(config()["file_errors"].size(), 1u) << config();
  EXPECT_EQ(home.flip("service-a", "green").status, 200u);
}

TEST_F(Start, RefusesAnApiThatCannotBeOpened) {
  const TakenPort taken;
  home.write_config(std::string(kShopToml) + "[api]\nlisten = \"" + taken.address() + "\"\n");
  restart();
  ASSERT_EQ(config()["file_errors"].size(), 1u) << config();
  EXPECT_TRUE(contains(config()["file_errors"][0], ":39: api.listen: ")) << config();
}

TEST_F(Start, APortThatAnotherProcessTookLeavesTheControlSocket) {
  const uint16_t port = TakenPort().port();  // free again
  home.write_config(std::string(kShopToml) + "[api]\nlisten = \"127.0.0.1:" + std::to_string(port) + "\"\n");
  restart();
  ASSERT_TRUE(config()["file_errors"].empty()) << config();
  teald.reset();
  const TakenPort taken(port);
  ASSERT_EQ(taken.port(), port);
  restart();
  EXPECT_EQ(home.flip("service-a", "green").status, 200u) << "there is a way to act";
}

TEST_F(Start, AReloadRefusesAnApiThatCannotBeOpened) {
  const TakenPort taken;
  home.write_config(std::string(kShopToml) + "[api]\nlisten = \"" + taken.address() + "\"\n");
  for (const char* body : {R"({"dry_run":true})", "{}"}) {
    const ApiReply reply = home.post("/v1/reload", body);
    EXPECT_EQ(reply.status, 422u) << reply.body;
    ASSERT_EQ(reply.body["error"]["details"].size(), 1u);
    EXPECT_TRUE(contains(reply.body["error"]["details"][0], ":39: api.listen: ")) << reply.body;
    EXPECT_FALSE(contains(reply.body["error"]["hint"], "teal check")) << "it opens no socket";
  }
  EXPECT_EQ(dataplane->generation(), 1u);
  EXPECT_EQ(config()["file_differs"], true);
}

TEST_F(Start, AReloadSaysWhichKeysOfTheApiChange) {
  home.write_config(std::string(kShopToml) + "[api]\nstatus = { mode = \"0660\" }\n");
  const ApiReply reply = home.post("/v1/reload", "{}");
  ASSERT_EQ(reply.status, 200u) << reply.body;
  EXPECT_EQ(reply.body["plan"]["changed"][0]["detail"], "status: takes effect at once, without a restart");
}

}  // namespace
}  // namespace teal
