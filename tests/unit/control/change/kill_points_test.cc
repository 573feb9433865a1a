// SPDX-License-Identifier: Apache-2.0
//
// Promise 10: teald is killed at every point between intended and done. Afterwards the change is in force and
// recorded as done, or not in force and recorded as interrupted.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/unit/control/change/mortal_daemon.h"
#include "tests/unit/control/faulty_disk.h"

namespace teal {
namespace {

struct KillPoint {
  const char* event;  // teald dies here
  bool in_force;      // the change stands
};
constexpr KillPoint kPoints[] = {{"intended", false}, {"published", true}, {"adopted", true}, {"done", true}};

// A change: its request, and a check whether it is in force.
struct Asked {
  const char* verb;
  const char* path;
  const char* body;
  bool (*in_force)(const DaemonHome& home);
};

nlohmann::json blue_backend(const DaemonHome& home) {
  return home.service("service-a")["colours"]["blue"]["backends"][1];
}

const Asked kChanges[] = {
    {"flip", "/v1/flip", R"({"group":"shop","to":"green"})",
     [](const DaemonHome& home) {
       const bool a = home.service("service-a")["active"] == "green";
       EXPECT_EQ(home.service("service-b")["active"] == "green", a) << "one publication";
       return a;
     }},
    {"rollback", "/v1/rollback", R"({"services":["service-c"]})",
     [](const DaemonHome& home) { return home.service("service-c")["active"] == "blue"; }},
    {"backend", "/v1/backend",
     R"({"service":"service-a","colour":"blue","address":"198.18.2.12:8080","state":"drain","weight":3})",
     [](const DaemonHome& home) {
       const bool drained = blue_backend(home)["state"] == "drain";
       EXPECT_EQ(home.service("service-a")["drift"].size(), drained ? 2u : 0u);
       return drained;
     }},
    {"drain", "/v1/drain", R"({"services":["service-c"],"timeout":"7m","then":"reset"})",
     [](const DaemonHome& home) {
       const nlohmann::json drain = home.service("service-c")["drain"];
       EXPECT_EQ(drain["then"] == "reset", drain["timeout_seconds"] == 420.0);
       return drain["then"] == "reset";
     }},
};

class KillPoints : public testing::TestWithParam<std::tuple<Asked, KillPoint>> {};

std::string with_request_id(const std::string& body) {
  return body.substr(0, body.size() - 1) + R"(,"request_id":"deploy-42"})";
}

// Each change with each point that it passes: a rollback has no intent.
std::vector<std::tuple<Asked, KillPoint>> points_of_changes() {
  std::vector<std::tuple<Asked, KillPoint>> points;
  for (const Asked& change : kChanges)
    for (const KillPoint& point : kPoints)
      if (change.verb != std::string("rollback") || point.event != std::string("intended"))
        points.emplace_back(change, point);
  return points;
}

TEST_P(KillPoints, TheChangeIsWholeOrNotAtAll) {
  const auto& [change, point] = GetParam();
  DaemonHome home;
  std::filesystem::create_directories(home.run_dir());
  FakeDataplane dataplane(home.run_dir(), 2);
  {
    MortalDaemon teald(home);
    ASSERT_EQ(home.flip("service-c", "green").status, 200u);
    const nlohmann::json blue = home.service("service-c")["colours"]["blue"]["backends"][0];
    dataplane.segment().worker(0).flows[blue["id"].get<size_t>()][0].live = 1;  // so that service-c drains
    ASSERT_FALSE(change.in_force(home));
  }
  const uint64_t before = dataplane.generation();
  const std::string body = with_request_id(change.body);
  {
    MortalDaemon teald(home, point.event);
    EXPECT_EQ(home.post(change.path, body).status, 0u) << "no answer: it was killed";
    ASSERT_TRUE(teald.dies());
    EXPECT_TRUE(teald.was_killed());
  }
  EXPECT_EQ(dataplane.generation(), point.in_force ? before + 1 : before);

  MortalDaemon teald(home);
  EXPECT_EQ(change.in_force(home), point.in_force);
  const nlohmann::json row = home.get("/v1/history?limit=1").body["changes"][0];
  EXPECT_EQ(row["verb"], change.verb);
  EXPECT_EQ(row["generation"], before + 1);
  EXPECT_EQ(row["result"], point.in_force ? "done" : "interrupted");
  EXPECT_EQ(home.get("/v1/version").body["revision"], point.in_force ? before + 1 : before);
  const nlohmann::json again = home.post(change.path, body).body;
  const bool is_known = change.verb != std::string("rollback") || point.event == std::string("done");
  EXPECT_EQ(again["repeated"], point.in_force && is_known);
  EXPECT_EQ(again["generation"], point.in_force ? before + 1 : before + 2)
      << again
      << ": asked again, it is there already, or it is done now, under a generation never given before";
  EXPECT_TRUE(FakeDataplane::wait_for(
      [&] { return dataplane.segment().header().acknowledged == dataplane.generation(); }));
}

INSTANTIATE_TEST_SUITE_P(EveryVerb, KillPoints, testing::ValuesIn(points_of_changes()), [](const auto& info) {
  return std::string(std::get<0>(info.param).verb) + "_" + std::get<1>(info.param).event;
});

// The disk becomes bad at a point of a change, and teald is killed after its answer. With a segment, a change
// that was answered as done is in force after the next start.
struct DiskPoint {
  const char* event;
  const char* disk;
  bool segment;
};

class DiskPoints : public testing::TestWithParam<std::tuple<Asked, DiskPoint>> {};

TEST_P(DiskPoints, AnAnsweredChangeStandsAndARefusedOneDoesNot) {
  const auto& [change, point] = GetParam();
  DaemonHome home;
  std::filesystem::create_directories(home.run_dir());
  std::optional<FakeDataplane> dataplane;
  if (point.segment) dataplane.emplace(home.run_dir(), 2);
  {
    MortalDaemon teald(home);
    ASSERT_EQ(home.flip("service-c", "green").status, 200u);
    const nlohmann::json blue = home.service("service-c")["colours"]["blue"]["backends"][0];
    if (dataplane)
      dataplane->segment().worker(0).flows[blue["id"].get<size_t>()][0].live = 1;  // so that service-c drains
  }
  ApiReply reply;
  uint64_t generation = 0, revision = 0;
  const std::string body = with_request_id(change.body);
  {
    MortalDaemon teald(home, point.event, 1, point.disk);
    reply = home.post(change.path, body);
    generation = home.get("/v1/services").body["generation"];
    revision = home.get("/v1/services").body["revision"];
    EXPECT_EQ(home.post(change.path, body).body.value("repeated", false), reply.status == 200)
        << "from memory";
    if (reply.status == 200) {
      EXPECT_EQ(reply.body["recorded"], false) << reply.body;
      EXPECT_TRUE(change.in_force(home));
    } else {
      EXPECT_EQ(reply.body["error"]["code"], "storage") << reply.body;
      EXPECT_FALSE(change.in_force(home));
    }
  }
  FaultyDisk::set(home.dir().file("disk"), "works");
  MortalDaemon teald(home);
  const nlohmann::json services = home.get("/v1/services").body;
  if (point.segment) {
    EXPECT_EQ(change.in_force(home), reply.status == 200) << services.dump(1);
    EXPECT_EQ(services["generation"], generation);
    EXPECT_EQ(services["revision"], revision);
  } else {
    EXPECT_GE(home.flip("service-a", "green").body["generation"], generation + 1) << "given once";
  }
  EXPECT_EQ(home.get("/v1/history?limit=50").body.dump().find("pending"), std::string::npos);
}

std::vector<std::tuple<Asked, DiskPoint>> disk_points() {
  std::vector<std::tuple<Asked, DiskPoint>> points;
  for (const Asked& change : kChanges) {
    for (const char* event : {"intended", "published", "adopted"}) {
      const bool passes = (change.verb != std::string("rollback") || event != std::string("intended"));
      for (const char* disk : {"full", "fails", "hangs"}) {
        if (passes) points.emplace_back(change, DiskPoint{event, disk, true});
        // Without a segment Teal has no flows, so nothing drains.
        if (passes && event == std::string("published") && change.verb != std::string("drain"))
          points.emplace_back(change, DiskPoint{event, disk, false});
      }
    }
  }
  return points;
}

INSTANTIATE_TEST_SUITE_P(EveryVerb, DiskPoints, testing::ValuesIn(disk_points()), [](const auto& info) {
  const DiskPoint& point = std::get<1>(info.param);
  return fmt::format("{}_{}_{}{}", std::get<0>(info.param).verb, point.disk, point.event,
                     point.segment ? "" : "_without_segment");
});

// A reload's file is read again by the start: it is in force either way, and its ids are the same.
class ReloadKillPoints : public testing::TestWithParam<KillPoint> {};

TEST_P(ReloadKillPoints, TheFileIsInForceAfterTheNextStart) {
  DaemonHome home;
  std::filesystem::create_directories(home.run_dir());
  FakeDataplane dataplane(home.run_dir());
  {
    // The start's publication has no intent; then come a flip and the reload.
    MortalDaemon teald(home, GetParam().event, GetParam().event == std::string("intended") ? 2 : 3);
    home.flip("service-c", "green");
    dataplane.segment().worker(0).flows[1][0].live = 1;  // 198.18.2.12 holds a flow
    std::string toml = kShopToml;
    toml.replace(toml.find("\"198.18.2.12:8080\""), 18, "\"198.18.2.14:8080\"");
    home.write_config(toml);
    EXPECT_EQ(home.post("/v1/reload", "{}").status, 0u);
    ASSERT_TRUE(teald.dies());
  }
  MortalDaemon teald(home);
  const nlohmann::json backends = home.service("service-a")["colours"]["blue"]["backends"];
  ASSERT_EQ(backends.size(), 3u) << backends;
  EXPECT_EQ(backends[1]["address"], "198.18.2.14:8080");
  EXPECT_EQ(backends[2]["address"], "198.18.2.12:8080");
  EXPECT_EQ(backends[2]["id"], 1) << "the flow's";
  EXPECT_EQ(backends[2]["retired"], true);
  EXPECT_EQ(home.service("service-c")["active"], "green");
  EXPECT_EQ(dataplane.ruleset().find_backend(tcp("198.18.2.14:8080")), backends[1]["id"]);
}

INSTANTIATE_TEST_SUITE_P(EveryPoint, ReloadKillPoints, testing::ValuesIn(kPoints),
                         [](const auto& info) { return std::string(info.param.event); });

TEST(KillPointsOfALock, ALockThatWasToldOfStands) {
  DaemonHome home;
  std::filesystem::create_directories(home.run_dir());
  {
    MortalDaemon teald(home, "locked");
    EXPECT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 0u);
    ASSERT_TRUE(teald.dies());
  }
  MortalDaemon teald(home);
  EXPECT_EQ(home.flip("service-a", "green").status, 423u);
  EXPECT_EQ(home.post("/v1/unlock", "{}").status, 200u);
  EXPECT_EQ(home.flip("service-a", "green").status, 200u);
}

}  // namespace
}  // namespace teal
