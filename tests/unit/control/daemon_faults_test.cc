// SPDX-License-Identifier: Apache-2.0
//
// A teald that starts with a disk or a segment that it cannot use.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/state/state.h"
#include "tests/unit/control/api_client.h"
#include "tests/unit/control/bound_by_modes.h"
#include "tests/unit/control/captured_log.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/faulty_disk.h"
#include "tests/unit/control/run_sql.h"

namespace teal {
namespace {

class DaemonFaults : public testing::Test {
 protected:
  DaemonFaults() { std::filesystem::create_directories(home.run_dir()); }

  std::string code(const ApiReply& reply) { return reply.body["error"].value("code", "-"); }

  DaemonHome home;
};

class DiskOfADaemon : public DaemonFaults {
 protected:
  DiskOfADaemon() {
    static const FaultyDisk disk;
    FaultyDisk::use(control_file);
  }
  void set_disk(const std::string& word) { FaultyDisk::set(control_file, word); }
  bool is_made_good() {
    return FakeDataplane::wait_for(
        [&] { return home.get("/v1/services").body["storage"]["error"].is_null(); });
  }

  const std::string control_file = home.dir().file("disk");
  FakeDataplane dataplane{home.run_dir()};
};

TEST_F(DiskOfADaemon, AStartWithABadDiskIsMadeGoodLater) {
  {
    RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
    ASSERT_EQ(
        home.post("/v1/backend",
                  R"({"service":"service-a","colour":"blue","address":"198.18.2.12:8080","state":"drain"})")
            .status,
        200u);
  }
  set_disk("full");
  const CapturedLog log;
  RunningDaemon daemon(home);
  EXPECT_EQ(
      log.lines_with("the database takes no writes; every change but a rollback and an unlock is refused")
          .size(),
      1u);
  EXPECT_FALSE(home.get("/v1/services").body["storage"]["error"].is_null()) << "it is told";
  EXPECT_EQ(home.service("service-a")["active"], "green");
  EXPECT_EQ(code(home.flip("service-b", "green")), "storage");
  const ApiReply rollback = home.post("/v1/rollback", R"({"services":["service-a"]})");
  EXPECT_EQ(rollback.status, 200u) << rollback.body;
  EXPECT_EQ(rollback.body["recorded"], false);

  set_disk("works");
  ASSERT_TRUE(is_made_good());
  EXPECT_EQ(home.service("service-a")["active"], "blue");
  EXPECT_EQ(home.service("service-a")["colours"]["blue"]["backends"][1]["state"], "drain");
  EXPECT_EQ(home.flip("service-b", "green").status, 200u);
  EXPECT_EQ(home.get("/v1/history?limit=2").body["changes"][1]["verb"], "rollback");
}

TEST_F(DiskOfADaemon, AFullDiskIsToldFromTheFirstRefusedChangeOn) {
  const RunningDaemon daemon(home);
  set_disk("full");
  EXPECT_EQ(code(home.flip("service-a", "green")), "storage");
  for (int second = 0; second < 3; ++second) {
    home.clock().skip(std::chrono::seconds(1));
    EXPECT_FALSE(home.get("/v1/services").body["storage"]["error"].is_null());
  }
  set_disk("works");
  EXPECT_TRUE(home.comes_true([&] { return home.get("/v1/services").body["storage"]["error"].is_null(); }));
}

TEST_F(DiskOfADaemon, VerifyShowsTheBackendsAndNamesTheDisk) {
  const RunningDaemon daemon(home);
  set_disk("full");
  EXPECT_EQ(code(home.flip("service-b", "green")), "storage");
  const ApiReply reply = home.post("/v1/verify", R"({"services":["service-a"]})");
  ASSERT_EQ(reply.status, 200u) << reply.body;
  EXPECT_EQ(reply.body["verdict"], "refused");
  EXPECT_FALSE(reply.body["services"][0]["backends"].empty());
  const auto& reasons = reply.body["reasons"];
  ASSERT_EQ(reasons.size(), 1u) << reasons;
  EXPECT_TRUE(reasons[0].get<std::string>().starts_with("the change could not be recorded: ")) << reasons;
}

// Neither reads nor writes come back. So only the segment and the copy in the run directory say what is in
// force.
TEST_F(DiskOfADaemon, AStartWithADiskThatHangsKnowsTheWayBackAndTheStatesOfBackends) {
  {
    RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
    ASSERT_EQ(home.flip("service-b", "green").status, 200u);
    ASSERT_EQ(home.post("/v1/rollback", R"({"services":["service-b"]})").status, 200u);
    ASSERT_EQ(
        home.post("/v1/backend",
                  R"({"service":"service-a","colour":"blue","address":"198.18.2.12:8080","state":"maint"})")
            .status,
        200u);
  }
  const uint64_t before = dataplane.generation();
  set_disk("hangs");
  home.write_config("this is not TOML");
  {
    RunningDaemon daemon(home);
    EXPECT_FALSE(home.get("/v1/services").body["storage"]["error"].is_null()) << "it is told";
    EXPECT_EQ(home.service("service-a")["colours"]["blue"]["backends"][1]["state"], "maint");
    EXPECT_EQ(dataplane.generation(), before) << "nothing differs, so nothing is published";
    const ApiReply rollback = home.post("/v1/rollback", R"({"services":["service-a","service-b"]})");
    EXPECT_EQ(rollback.status, 200u) << rollback.body;
    EXPECT_EQ(home.service("service-a")["active"], "blue");
    EXPECT_EQ(home.service("service-b")["active"], "blue") << "its flip is undone already";
    set_disk("works");
    ASSERT_TRUE(is_made_good());
    EXPECT_EQ(home.service("service-a")["active"], "blue");
    EXPECT_EQ(home.service("service-a")["colours"]["blue"]["backends"][1]["state"], "maint");
    const nlohmann::json changes = home.get("/v1/history?limit=2").body["changes"];
    EXPECT_EQ(changes[0]["verb"], "rollback");
    EXPECT_NE(changes[1]["verb"], "rollback") << "once";
  }
}

TEST_F(DiskOfADaemon, AStartWithADiskThatHangsNeedsNoSegment) {
  {
    RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  }
  dataplane.stop();
  std::filesystem::remove(home.run_dir() + "/segment");
  set_disk("hangs");
  {
    RunningDaemon daemon(home);
    EXPECT_EQ(home.service("service-a")["active"], "green");
    set_disk("works");
    EXPECT_TRUE(is_made_good());
  }
}

// After a reboot, too: nothing but the database of the previous release says what is in force.
TEST_F(DiskOfADaemon, AnUpgradeWhileTheDiskIsFullStartsAndMigratesLater) {
  {
    RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  }
  dataplane.stop();
  std::filesystem::remove_all(home.run_dir());
  const std::string database = home.dir().file("state") + "/teal.db";
  run_sql(database, "DELETE FROM meta WHERE key = 'oldest_reader'; PRAGMA user_version = 7");
  set_disk("full");
  RunningDaemon daemon(home);
  EXPECT_EQ(home.service("service-a")["active"], "green");
  EXPECT_FALSE(home.get("/v1/services").body["storage"]["error"].is_null());
  EXPECT_FALSE(std::filesystem::exists(database + ".schema7"));
  set_disk("works");
  ASSERT_TRUE(is_made_good());
  EXPECT_TRUE(std::filesystem::exists(database + ".schema7"));
  EXPECT_EQ(home.flip("service-b", "green").status, 200u);
  EXPECT_EQ(home.service("service-a")["active"], "green");
}

TEST_F(DiskOfADaemon, ALostDatabaseIsMadeAgainFromTheCopyAlsoWithABadFile) {
  {
    RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  }
  for (const char* file : {"teal.db", "teal.db-wal", "teal.db-shm"})
    std::filesystem::remove(home.dir().file("state") + "/" + file);
  home.write_config("this is not TOML");
  RunningDaemon daemon(home);
  EXPECT_EQ(home.service("service-a")["active"], "green");
  const ApiReply rollback = home.post("/v1/rollback", R"({"services":["service-a"]})");
  EXPECT_EQ(rollback.status, 200u) << rollback.body;
  EXPECT_EQ(home.service("service-a")["active"], "blue") << "the way back is known";
}

TEST_F(DiskOfADaemon, AStartWithADiskThatHangsKnowsTheLock) {
  {
    RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
    ASSERT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
  }
  set_disk("hangs");
  {
    RunningDaemon daemon(home);
    EXPECT_EQ(code(home.post("/v1/rollback", R"({"services":["service-a"]})")), "locked");
    set_disk("works");
    EXPECT_TRUE(is_made_good());
  }
}

// It has a run directory and a config of its own.
TEST_F(DaemonFaults, ASecondDaemonWithTheSameStateDirectoryIsRefused) {
  const RunningDaemon daemon(home);
  DaemonOptions options = home.options();
  options.run_dir = home.dir().file("other");
  const auto second = Daemon::start(options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, kExitLocked);
  const std::string& why = second.error().messages.front();
  EXPECT_NE(why.find(options.state_dir), std::string::npos) << why;
  EXPECT_NE(why.find("pid " + std::to_string(getpid())), std::string::npos) << why;
  EXPECT_EQ(home.flip("service-a", "green").status, 200u) << "the first one goes on";
}

TEST_F(DaemonFaults, AStateDirectoryThatCannotBeLockedIsOnlyRead) {
  const BoundByModes bound;
  const std::string dir = home.dir().file("state"), file = dir + "/daemon.lock";
  {
    const RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  }
  std::filesystem::remove(file);
  ASSERT_EQ(chmod(dir.c_str(), 0500), 0);
  const RunningDaemon daemon(home);
  EXPECT_EQ(home.service("service-a")["active"], "green");
  EXPECT_EQ(code(home.flip("service-b", "green")), "storage");
  const nlohmann::json error = home.get("/v1/services").body["storage"]["error"];
  ASSERT_TRUE(error.is_string());
  EXPECT_NE(error.get<std::string>().find(file), std::string::npos) << error;
  ASSERT_EQ(chmod(dir.c_str(), 0700), 0);
  EXPECT_TRUE(home.comes_true([&] { return home.get("/v1/services").body["storage"]["error"].is_null(); }));
  EXPECT_EQ(home.flip("service-b", "green").status, 200u);
}

TEST_F(DaemonFaults, ARefusedSegmentRefusesEveryChange) {
  std::ofstream(home.run_dir() + "/segment") << "not a segment";
  RunningDaemon daemon(home);
  EXPECT_EQ(code(home.flip("service-a", "green")), "segment_refused");
  EXPECT_EQ(code(home.post("/v1/lock", R"({"reason":"audit"})")), "segment_refused");
  EXPECT_FALSE(home.get("/v1/services").body["dataplane"]["segment_refused"].is_null());
  std::filesystem::remove(home.run_dir() + "/segment");
  FakeDataplane dataplane(home.run_dir());
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return dataplane.generation() != 0; }));
  EXPECT_EQ(home.flip("service-a", "green").status, 200u);
}

// A dataplane runs, and the segment knows a flip and a retired backend that holds a flow. Then teald may not
// use the segment any more.
class SegmentOfADataplane : public DaemonFaults {
 protected:
  SegmentOfADataplane() {
    const RunningDaemon daemon(home);
    EXPECT_EQ(home.flip("service-b", "green").status, 200u);
    const size_t id = home.service("service-a")["colours"]["blue"]["backends"][1]["id"];
    dataplane.segment().worker(0).flows[id][0].live = 1;
    write_file("198.18.2.13:8080");
    EXPECT_EQ(home.post("/v1/reload", "{}").status, 200u);
  }

  // Writes kShopToml without 198.18.2.12, and with another backend in place of 198.18.2.13.
  void write_file(const std::string& blue_of_c) const {
    std::string toml = kShopToml;
    for (const auto& [from, to] :
         {std::pair<std::string, std::string>{", \"198.18.2.12:8080\"", ""}, {"198.18.2.13:8080", blue_of_c}})
      toml.replace(toml.find(from), from.size(), to);
    home.write_config(toml);
  }
  Inventory stored() { return *State::open(home.dir().file("state"))->load(); }
  std::string bytes() const {
    std::ostringstream all;
    all << std::ifstream(home.run_dir() + "/segment.tmpfs", std::ios::binary).rdbuf();
    return all.str();
  }
  // Asks for every kind of change.
  void expect_each_is_refused() {
    for (const auto& [target, body] : std::initializer_list<std::pair<const char*, const char*>>{
             {"/v1/flip", R"({"services":["service-a"],"to":"green"})"},
             {"/v1/flip", R"({"services":["service-a"],"to":"green","force":true})"},
             {"/v1/flip", R"({"services":["service-a"],"to":"green","dry_run":true})"},
             {"/v1/rollback", R"({"services":["service-b"]})"},
             {"/v1/ramp", R"({"services":["service-a"],"to":"green","steps":["50%","100%"]})"},
             {"/v1/backend",
              R"({"service":"service-a","colour":"blue","address":"198.18.2.11:8080","weight":5})"},
             {"/v1/reload", "{}"},
             {"/v1/lock", R"({"reason":"audit"})"}}) {
      const ApiReply reply = home.post(target, body);
      EXPECT_EQ(reply.status, 503u) << target << " " << reply.body;
      EXPECT_EQ(code(reply), "segment_refused") << target;
      EXPECT_EQ(reply.body["error"]["message"].get<std::string>().find("nothing was changed"), 0u);
    }
  }
  // Restarts teald with a file that would retire one more backend. While the segment is refused, neither the
  // segment nor the state changes.
  void expect_nothing_is_touched(const std::string& why) {
    write_file("198.18.2.14:8080");
    dataplane.hold_still(true);
    const Inventory state = stored();
    EXPECT_TRUE(state.has_retired());
    const std::string segment = bytes();
    {
      const RunningDaemon daemon(home);
      const nlohmann::json refused = home.get("/v1/services").body["dataplane"]["segment_refused"];
      ASSERT_TRUE(refused.is_string()) << refused;
      EXPECT_NE(refused.get<std::string>().find(why), std::string::npos) << refused;
      expect_each_is_refused();
      home.clock().skip(std::chrono::seconds(2));  // for tidy()
      EXPECT_EQ(home.get("/v1/services").status, 200u);
    }
    EXPECT_TRUE(bytes() == segment);
    const Inventory after = stored();
    EXPECT_EQ(after.services, state.services);
    EXPECT_EQ(after.backends, state.backends);
    dataplane.hold_still(false);
  }

  FakeDataplane dataplane{home.run_dir()};
};

TEST_F(SegmentOfADataplane, OfAnotherAbiIsRefusedAndNothingIsTouched) {
  const uint64_t abi = dataplane.segment().header().abi;
  dataplane.segment().header().abi = abi + 1;
  expect_nothing_is_touched("ABI");
  dataplane.segment().header().abi = abi;
  const RunningDaemon daemon(home);
  EXPECT_EQ(home.flip("service-a", "green").status, 200u);
}

TEST_F(SegmentOfADataplane, ThatTealdMayNotOpenIsRefusedAndNothingIsTouched) {
  const BoundByModes bound;
  const std::string path = home.run_dir() + "/segment.tmpfs";
  ASSERT_EQ(chmod(path.c_str(), 0000), 0);
  expect_nothing_is_touched("Permission denied");
  ASSERT_EQ(chmod(path.c_str(), 0660), 0);
  const RunningDaemon daemon(home);
  EXPECT_EQ(home.flip("service-a", "green").status, 200u);
}

}  // namespace
}  // namespace teal
