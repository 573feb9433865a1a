// SPDX-License-Identifier: Apache-2.0
//
// The API shows at a glance: ports and their losses, a refused file, and the drains that a change begins.
#include <gtest/gtest.h>

#include <sys/statfs.h>

#include <linux/magic.h>

#include "dataplane/shm/segment_file.h"
#include "tests/unit/control/api_client.h"
#include "tests/unit/control/captured_log.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {
namespace {

class Seen : public testing::Test {
 protected:
  Seen() { std::filesystem::create_directories(home.run_dir()); }
  nlohmann::json port() { return home.get("/v1/services").body["dataplane"]["ports"][0]; }

  CapturedLog log;
  DaemonHome home;
};

TEST_F(Seen, APortHasItsDriverSpeedQueuesAndLosses) {
  FakeDataplane dataplane(home.run_dir());
  dataplane.add_port(0, "back", LinkState::kUp, 7);
  const RunningDaemon daemon(home);
  EXPECT_EQ(port(), nlohmann::json::parse(R"({
    "name":"back","interface":"back","driver":"net_virtio","owned_by_dpdk":true,"link":"up","speed_mbps":10000,"queues":2,"spreads":true,
    "losses":{"rx_missed":7,"rx_no_buffers":0,"rx_errors":0,"tx_errors":0},"lost_last_minute":0})"))
      << "losses before the start of teald are old";
}

TEST_F(Seen, LossesOfTheLastMinuteAreTold) {
  FakeDataplane dataplane(home.run_dir());
  dataplane.add_port(0, "back", LinkState::kUp, 7);
  const RunningDaemon daemon(home);
  auto& errors = dataplane.segment().header().ports[0].counters[static_cast<size_t>(NicCounter::k_rx_errors)];
  // Losses before teald's first sample do not count.
  EXPECT_TRUE(home.comes_true([&] {
    errors += 3;
    const uint64_t lost = port()["lost_last_minute"];
    return lost != 0 && lost % 3 == 0;
  })) << port();
  EXPECT_EQ(port()["losses"]["rx_errors"], errors.load());
  EXPECT_TRUE(home.comes_true([&] { return port()["lost_last_minute"] == 0; })) << "a minute later";
}

TEST_F(Seen, AFlipTellsItsDrains) {
  FakeDataplane dataplane(home.run_dir());
  const RunningDaemon daemon(home);
  dataplane.segment().worker(0).flows[0][0].live = 5;
  for (const char* dry_run : {R"(,"dry_run":true})", "}"}) {
    const auto drains =
        home.post("/v1/flip", std::string(R"({"group":"shop","to":"green")") + dry_run).body["drains"];
    ASSERT_EQ(drains.size(), 1u) << drains;
    EXPECT_EQ(drains[0]["service"], "service-a");
    EXPECT_EQ(drains[0]["flows"], 5);
    EXPECT_EQ(drains[0]["deadline"].get<std::string>().size(),
              std::string("2026-11-23T05:35:00.123Z").size());
    EXPECT_EQ(drains[0]["resets"], 0) << "the file says wait";
  }
}

TEST_F(Seen, ARefusedFileIsShownUntilAReloadTakesAFile) {
  const RunningDaemon daemon(home);
  const auto refused = [&] { return home.get("/v1/services").body["config"]["refused"]; };
  EXPECT_TRUE(refused().is_null());
  home.write_config(std::string(kShopToml) + "unknown = 1\n");
  home.post("/v1/reload", "{}");
  EXPECT_EQ(refused()["errors"].size(), 1u) << refused();
  EXPECT_EQ(refused()["at"].get<std::string>().size(), std::string("2026-11-23T05:35:00.123Z").size());
  home.write_config(kShopToml);
  home.post("/v1/reload", "{}");
  EXPECT_TRUE(refused().is_null()) << refused();
}

TEST_F(Seen, ARunDirectoryThatOutlivesARebootIsWarnedOfOnce) {
  EXPECT_FALSE(is_in_memory("/proc"));
  struct statfs system {};
  ASSERT_EQ(statfs(home.run_dir().c_str(), &system), 0);
  EXPECT_EQ(is_in_memory(home.run_dir()), system.f_type == TMPFS_MAGIC);
  const bool has_tmpfs = statfs("/dev/shm", &system) == 0 && system.f_type == TMPFS_MAGIC;
  EXPECT_EQ(is_in_memory("/dev/shm"), has_tmpfs);
  const RunningDaemon daemon(home);
  const auto lines = log.lines_with("is not on a tmpfs");
  EXPECT_EQ(lines.size(), is_in_memory(home.run_dir()) ? 0u : 1u);
  for (const auto& line : lines) EXPECT_TRUE(line.starts_with("warning: ")) << line;
}

}  // namespace
}  // namespace teal
