// SPDX-License-Identifier: Apache-2.0
//
// teald with a dataplane that starts, stalls, dies and returns, and teald's own life: the instance's lock,
// sockets, restarts, a disk that fails.
#include "control/daemon.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <chrono>
#include <future>

#include <sys/socket.h>
#include <sys/un.h>

#include "control/state/state.h"
#include "tests/support/rounds.h"
#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/run_sql.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

class DaemonTest : public testing::Test {
 protected:
  DaemonTest() { std::filesystem::create_directories(home.run_dir()); }

  std::string code(const ApiReply& reply) { return reply.body["error"].value("code", "-"); }
  // Without its history, the database refuses every change.
  void rename_table(const std::string& from, const std::string& to) {
    run_sql(home.dir().file("state/teal.db"), "ALTER TABLE " + from + " RENAME TO " + to);
  }
  std::string latest_event() {
    return State::open(home.dir().file("state"))
        ->history({.service = {}, .limit = 1, .before = {}})
        ->front()
        .result;
  }

  DaemonHome home;
};

TEST_F(DaemonTest, PublishesIntoASegmentThatWasThereFirst) {
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  EXPECT_EQ(dataplane.generation(), 1u);
  EXPECT_EQ(dataplane.segment().header().acknowledged, 1u);
  EXPECT_NE(dataplane.ruleset().find_service(tcp("198.18.0.10:80")), kNoId);
  EXPECT_EQ(home.get("/v1/services").body["dataplane"]["adopted_generation"], 1);
}

TEST_F(DaemonTest, PublishesIntoASegmentThatAppears) {
  RunningDaemon daemon(home);
  ASSERT_EQ(home.flip("service-a", "green").body["generation"], 1);
  FakeDataplane dataplane(home.run_dir());
  ASSERT_TRUE(home.comes_true([&] { return dataplane.segment().header().acknowledged != 0; }));
  EXPECT_EQ(dataplane.generation(), 2u) << "above the database's";
  EXPECT_EQ(dataplane.splits().services[0].active, Colour::kGreen);
}

TEST_F(DaemonTest, AFlipIsAnsweredWhenEveryWorkerAdoptedIt) {
  FakeDataplane dataplane(home.run_dir(), 2);
  RunningDaemon daemon(home);
  const ApiReply reply = home.post("/v1/flip", R"({"group":"shop","to":"green"})");
  ASSERT_EQ(reply.status, 200u) << reply.body;
  EXPECT_EQ(reply.body["generation"], 2);
  EXPECT_EQ(reply.body["workers"], nlohmann::json::parse(R"({"live":2,"adopted":2,"asleep":0})"));
  EXPECT_GT(reply.body["slowest_us"], 0.0);
  EXPECT_EQ(reply.body["dataplane_running"], true);
  EXPECT_TRUE(reply.body["warnings"].empty());
  EXPECT_EQ(dataplane.segment().header().acknowledged, 2u);
  EXPECT_EQ(dataplane.splits().services[0].active, Colour::kGreen);
  EXPECT_EQ(dataplane.splits().services[0].flip_generation, 2u);
  EXPECT_EQ(dataplane.splits().services[0].drain_ticks, 30'000u);
  EXPECT_EQ(dataplane.splits().services[1].drain_ticks, 6'000u) << "drain = 1m in the config";
}

TEST_F(DaemonTest, ManyFlipsCountExactly) {
  FakeDataplane dataplane(home.run_dir(), 2);
  RunningDaemon daemon(home);
  constexpr int kFlips = test::rounds(200);
  for (int i = 0; i < kFlips; ++i)
    ASSERT_EQ(home.flip("service-a", i % 2 == 0 ? "green" : "blue").body["generation"], 2 + i);
  EXPECT_EQ(dataplane.segment().header().acknowledged, 1u + kFlips);
}

// Sends a flip of service-b, and returns when teald has it in its queue.
class QueuedFlip {
 public:
  explicit QueuedFlip(const DaemonHome& home) {
    socket_.connect(asio::local::stream_protocol::endpoint(home.socket()));
    const std::string body = R"({"services":["service-b"],"to":"green"})";
    asio::write(socket_,
                asio::buffer("POST /v1/flip HTTP/1.1\r\nHost: teal\r\nContent-Type: application/json\r\n"
                             "Connection: close\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n" + body));
    EXPECT_EQ(home.get("/v1/version").status, 200u) << "by now the request is queued";
  }
  std::string answer() {
    std::string text;
    boost::system::error_code end;
    asio::read(socket_, asio::dynamic_buffer(text), end);
    return text;
  }

 private:
  asio::io_context io_;
  asio::local::stream_protocol::socket socket_{io_};
};

TEST_F(DaemonTest, AQueuedChangeWhoseClientHasGoneIsNotMade) {
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  dataplane.hold_still(true);
  auto first = std::async(std::launch::async, [&] { return home.flip("service-a", "green"); });
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return dataplane.generation() == 2; }));
  { const QueuedFlip gone(home); }
  ASSERT_TRUE(home.comes_true([&] { return first.wait_for(0s) == std::future_status::ready; }));
  EXPECT_EQ(first.get().status, 504u);
  dataplane.hold_still(false);
  EXPECT_EQ(home.flip("service-c", "green").body["generation"], 3);
  EXPECT_EQ(home.service("service-b")["active"], "blue");
}

TEST_F(DaemonTest, AChangeThatWasQueuedForTooLongIsNotMade) {
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  dataplane.hold_still(true);
  auto first = std::async(std::launch::async, [&] { return home.flip("service-a", "green"); });
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return dataplane.generation() == 2; }));
  QueuedFlip late(home);
  home.clock().skip(31s);
  ASSERT_TRUE(home.comes_true([&] { return first.wait_for(0s) == std::future_status::ready; }));
  const std::string answer = late.answer();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_NE(answer.find("queued_too_long"), std::string::npos) << answer;
  EXPECT_EQ(home.service("service-b")["active"], "blue");
  dataplane.hold_still(false);
}

TEST_F(DaemonTest, AStalledWorkerTimesOutAndTheFlipStands) {
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  dataplane.hold_still(true);
  auto flip = std::async(std::launch::async, [&] { return home.flip("service-a", "green"); });
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return dataplane.generation() == 2; }));
  ASSERT_TRUE(home.comes_true([&] { return flip.wait_for(0s) == std::future_status::ready; }));
  const ApiReply reply = flip.get();
  EXPECT_EQ(reply.status, 504u);
  EXPECT_EQ(code(reply), "adoption_timeout");
  EXPECT_EQ(dataplane.generation(), 2u);
  EXPECT_EQ(dataplane.segment().header().acknowledged, 1u) << "not acknowledged";
  EXPECT_EQ(home.service("service-a")["active"], "green");
  EXPECT_EQ(latest_event(), "adoption_timeout");
  dataplane.hold_still(false);
  EXPECT_EQ(home.post("/v1/rollback", R"({"services":["service-a"]})").status, 200u);
}

TEST_F(DaemonTest, TheEventLoopAnswersWhileAFlipWaits) {
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  dataplane.hold_still(true);
  auto flip = std::async(std::launch::async, [&] { return home.flip("service-a", "green"); });
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return dataplane.generation() == 2; }));  // published
  EXPECT_EQ(home.get("/v1/services").body["dataplane"]["adopted_generation"], 1);
  EXPECT_EQ(home.get("/v1/counters").status, 200u);
  EXPECT_EQ(flip.wait_for(0s), std::future_status::timeout);
  dataplane.hold_still(false);
  EXPECT_EQ(flip.get().status, 200u);
}

TEST_F(DaemonTest, AFlipWhileTheDataplaneIsDeadIsForTheNext) {
  RunningDaemon daemon(home);
  {
    FakeDataplane dataplane(home.run_dir());
    ASSERT_TRUE(home.comes_true([&] { return dataplane.segment().header().acknowledged == 1; }));
    dataplane.die();
  }
  const ApiReply reply = home.flip("service-a", "green");
  EXPECT_EQ(reply.status, 200u) << reply.body;
  EXPECT_EQ(reply.body["dataplane_running"], false);
  EXPECT_EQ(reply.body["warnings"].size(), 1u);
  FakeDataplane next(home.run_dir(), 3);
  EXPECT_EQ(next.generation(), 2u);
  EXPECT_EQ(next.splits().services[0].active, Colour::kGreen);
  EXPECT_EQ(home.flip("service-a", "blue").body["workers"]["adopted"], 3);
}

TEST_F(DaemonTest, ARestartKeepsSplitsGenerationAndIdsAndPublishesNothing) {
  FakeDataplane dataplane(home.run_dir());
  nlohmann::json before;
  {
    RunningDaemon daemon(home);
    home.flip("service-a", "green");
    home.flip("service-b", "green");
    home.post("/v1/rollback", R"({"services":["service-b"]})");
    before = home.get("/v1/services").body;
    EXPECT_EQ(daemon.stop(), kExitStopped);
    EXPECT_FALSE(std::filesystem::exists(home.socket()));
  }
  const uint64_t word = dataplane.segment().header().word;
  RunningDaemon daemon(home);
  nlohmann::json after = home.get("/v1/services").body;
  for (nlohmann::json* answer : {&before, &after}) {
    answer->erase("config");                                                       // when it was loaded
    for (nlohmann::json& service : (*answer)["services"]) service.erase("trial");  // seconds that are left
  }
  EXPECT_EQ(after, before);
  EXPECT_EQ(dataplane.segment().header().word, word);
  EXPECT_EQ(home.flip("service-b", "green").body["generation"], 5);
}

TEST_F(DaemonTest, ARestartWithAnotherConfigRetiresWhatFlowsHold) {
  FakeDataplane dataplane(home.run_dir());
  { RunningDaemon daemon(home); }
  dataplane.segment().worker(0).flows[1][0].live = 1;  // 198.18.2.12
  std::string toml = kShopToml;
  toml.replace(toml.find(", \"198.18.2.12:8080\""), 20, "");
  home.write_config(toml);
  RunningDaemon daemon(home);
  EXPECT_EQ(dataplane.generation(), 2u);
  const uint16_t id = dataplane.ruleset().find_backend(tcp("198.18.2.12:8080"));
  ASSERT_EQ(id, 1);
  EXPECT_NE(dataplane.ruleset().backends[id].flags & kBackendRetired, 0);
  EXPECT_EQ(home.service("service-a")["colours"]["blue"]["backends"][1]["retired"], true);
  EXPECT_EQ(home.service("service-a")["colours"]["blue"]["flows"], 1);

  dataplane.segment().worker(0).flows[1][0].live = 0;
  ASSERT_TRUE(home.comes_true([&] { return dataplane.generation() == 3; }));
  EXPECT_EQ(dataplane.ruleset().find_backend(tcp("198.18.2.12:8080")), kNoId);
  EXPECT_TRUE(home.comes_true([&] {
    const auto saved = State::open(home.dir().file("state"))->load();
    return saved && !saved->has_retired();
  }));
}

TEST_F(DaemonTest, ASecondDaemonIsRefusedAndNamesTheFirst) {
  RunningDaemon daemon(home);
  const auto second = Daemon::start(home.options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, kExitLocked);
  EXPECT_NE(second.error().messages.front().find(std::to_string(getpid())), std::string::npos)
      << second.error().messages.front();
  EXPECT_EQ(home.get("/v1/version").status, 200u) << "the first serves on";
}

TEST_F(DaemonTest, ASocketLeftByADeadDaemonIsReplaced) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof(address.sun_path), "%s", home.socket().c_str());
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ::close(fd);
  RunningDaemon daemon(home);
  EXPECT_EQ(home.get("/v1/version").status, 200u);
}

TEST_F(DaemonTest, AFileInPlaceOfTheSocketIsNotTouched) {
  FILE* file = fopen(home.socket().c_str(), "w");
  fclose(file);
  auto daemon = Daemon::start(home.options());
  ASSERT_TRUE(daemon);
  EXPECT_EQ((*daemon)->run(), kExitError);
  EXPECT_TRUE(std::filesystem::is_regular_file(home.socket()));
}

TEST_F(DaemonTest, AStartWithABadConfigGoesOnWithTheLatestGoodOne) {
  FakeDataplane dataplane(home.run_dir());
  {
    RunningDaemon daemon(home);
    ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  }
  home.write_config("workers = two\n");
  RunningDaemon daemon(home);
  EXPECT_EQ(home.service("service-a")["active"], "green");
  EXPECT_EQ(home.flip("service-b", "green").status, 200u);
  EXPECT_EQ(home.get("/v1/services").body["config"]["file_errors"].size(), 1u) << "it is told";
  EXPECT_EQ(code(home.post("/v1/reload", "{}")), "bad_config");
  home.write_config(kShopToml);
  EXPECT_EQ(home.post("/v1/reload", "{}").status, 200u);
  EXPECT_EQ(home.get("/v1/services").body["config"]["file_errors"].size(), 0u);
}

TEST_F(DaemonTest, ABadConfigIsRefusedWithAllItsErrors) {
  home.write_config(std::string(kShopToml) + "\n[[service]]\nname = \"X\"\nvip = \"198.18.0.10:70000\"\n");
  const auto daemon = Daemon::start(home.options());
  ASSERT_FALSE(daemon);
  EXPECT_EQ(daemon.error().code, kExitUsage);
  EXPECT_GT(daemon.error().messages.size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(home.dir().file("state"))) << "nothing changed";
}

TEST_F(DaemonTest, AFailingDiskStopsAFlipAndNoRollback) {
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  rename_table("history", "hidden");

  const ApiReply flip = home.flip("service-b", "green");
  EXPECT_EQ(flip.status, 503u);
  EXPECT_EQ(code(flip), "storage");
  EXPECT_EQ(dataplane.generation(), 2u);
  EXPECT_EQ(home.service("service-b")["active"], "blue");

  const ApiReply rollback = home.post("/v1/rollback", R"({"services":["service-a"]})");
  EXPECT_EQ(rollback.status, 200u);
  EXPECT_EQ(rollback.body["warnings"].size(), 1u);
  EXPECT_EQ(dataplane.splits().services[0].active, Colour::kBlue);

  daemon.stop();
  rename_table("hidden", "history");
  RunningDaemon again(home);
  EXPECT_EQ(home.service("service-a")["active"], "blue") << "learnt from the segment";
}

TEST_F(DaemonTest, FlowsAndCountersComeFromTheSegment) {
  FakeDataplane dataplane(home.run_dir(), 2);
  RunningDaemon daemon(home);
  FlowTable table = dataplane.segment().flow_table();
  for (uint16_t i = 0; i < 150; ++i) {
    const FlowKey key{*IpAddress::parse("198.18.1.101"), Be16::from_host(static_cast<uint16_t>(40000 + i)),
                      0};
    const auto location = table.locate(key);
    const uint16_t backend = i < 50 ? 2 : 0;
    FlowState state{.tick = 1, .last_hop = 0, .phase = FlowPhase::kEstablished};
    if (i < 50) state.flags = kFlowGreen;
    ASSERT_NE(table.insert(location, key, backend, 1, state), kNoFlow);
  }
  dataplane.segment().worker(1).flows[0][0].live = 100;
  dataplane.segment().worker(1).services[0][0].packets[0].add(7);
  dataplane.segment().worker(1).count(Event::k_rx, 3);

  nlohmann::json body = home.get("/v1/flows").body;
  EXPECT_EQ(body["flows"].size(), 100u);
  EXPECT_EQ(body["matched"], 150);
  EXPECT_EQ(body["truncated"], true);
  body = home.get("/v1/flows?service=service-a&colour=green&backend=198.18.2.21:8080&limit=1000").body;
  EXPECT_EQ(body["matched"], 50);
  EXPECT_EQ(body["truncated"], false);
  body = home.get("/v1/flows?client=198.18.1.101%3A40007").body;
  ASSERT_EQ(body["matched"], 1);
  const nlohmann::json flow = body["flows"][0];
  EXPECT_EQ(flow["service"], "service-a");
  EXPECT_EQ(flow["client"], "198.18.1.101:40007");
  EXPECT_EQ(flow["backend"], "198.18.2.21:8080");
  EXPECT_EQ(flow["colour"], "green");
  EXPECT_EQ(flow["state"], "established");
  EXPECT_EQ(flow["birth_generation"], 1);
  EXPECT_EQ(home.get("/v1/flows?client=198.18.1.102&limit=0").body["matched"], 0);
  EXPECT_EQ(home.get("/v1/flows?service=service-b").body["matched"], 0);

  home.flip("service-a", "green");
  const nlohmann::json service = home.service("service-a");
  EXPECT_EQ(service["draining"]["colour"], "blue");
  EXPECT_EQ(service["draining"]["flows"], 100);
  EXPECT_EQ(service["draining"]["backends"], 1);
  EXPECT_EQ(service["draining"]["state"], "draining");
  EXPECT_EQ(service["colours"]["blue"]["packets"]["to_backend"], 7);
  body = home.get("/v1/counters").body;
  EXPECT_EQ(body["totals"]["rx"], 3);
  EXPECT_EQ(body["workers"].size(), 2u);
  EXPECT_EQ(body["workers"][1]["counters"]["rx"], 3);
  EXPECT_EQ(body["workers"][1]["state"], "polling");
  EXPECT_EQ(body["workers"][1]["adopted_generation"], 2);
  EXPECT_TRUE(body["totals"].contains("stale_backend"));
}

TEST_F(DaemonTest, PortsShowTheirLinkAndWhatTheirNicCounts) {
  FakeDataplane dataplane(home.run_dir());
  dataplane.add_port(3, "back", LinkState::kDown, 7);
  RunningDaemon daemon(home);
  const nlohmann::json shown = home.get("/v1/services").body["dataplane"]["ports"][0];
  EXPECT_EQ(shown["name"], "back");
  EXPECT_EQ(shown["interface"], "back");
  EXPECT_EQ(shown["link"], "down");
  EXPECT_EQ(shown["losses"]["rx_missed"], 7);
  const nlohmann::json counters = home.get("/v1/counters").body;
  ASSERT_EQ(counters["ports"].size(), 1u);
  const nlohmann::json& port = counters["ports"][0];
  EXPECT_EQ(port["driver"], "net_virtio");
  EXPECT_EQ(port["queues"], 2);
  EXPECT_EQ(port["link"], "down");
  EXPECT_EQ(port["counters"]["rx_missed"], 7);
  EXPECT_TRUE(counters["steering"].is_null()) << "there is no AF_XDP port";
}

}  // namespace
}  // namespace teal
