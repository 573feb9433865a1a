// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_upkeep.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "control/health/health_file.h"
#include "tests/unit/control/health/checked_shop.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

// The upkeep's pauses are as long as a test lets the clock go on.
class HealthUpkeepTest : public testing::Test {
 protected:
  struct UpkeepClock : BoardClock {
    Task<void> wait(asio::steady_timer& timer, Time until) const override {
      while (now() < until) {
        timer.expires_after(
            std::chrono::milliseconds(1));  // of real time: lets a test's thread of the disk run
        boost::system::error_code cancelled;
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
        if (cancelled) co_return;
      }
    }
  };

  explicit HealthUpkeepTest(Config config = checked_shop())
      : catalogue(config, renumber({}, config)->inventory) {
    events.listen([this](const ToldEvent& event) {
      told.push_back(event.type);
      nlohmann::ordered_json data = nlohmann::ordered_json::parse(event.data);
      data.erase("at");
      last[event.type] = data.dump();
    });
  }
  ~HealthUpkeepTest() override { upkeep.join(); }

  void start() {
    asio::co_spawn(io,
                   upkeep.run({.catalogue = [this]() -> const Catalogue& { return catalogue; },
                               .send_list = [this] { ++lists; },
                               .publish = [this](const HealthWords& words) { published = words; }}),
                   asio::detached);
    settle();
    revision = board.list().revision;
  }
  // Runs what is due at this moment of the clock, and the write of the file.
  void settle() { io.run_for(30ms); }
  void report(uint16_t backend, bool up) {
    board.take({.revision = revision,
                .backend = backend,
                .up = up,
                .passed = up,
                .reason = up ? "" : "connection refused",
                .at_ms = clock.wall_ms()});
    upkeep.has_news();
  }

  const TempDir dir;
  UpkeepClock clock;
  Events events{clock};
  Catalogue catalogue;
  HealthBoard board{clock};
  HealthUpkeep upkeep{board, events, clock, dir.path()};
  std::vector<std::string> told;
  std::map<std::string, std::string> last;  // data of the latest event, by type
  int lists = 0;
  uint64_t revision = 0;
  HealthWords published;
  asio::io_context io{1};
};

TEST_F(HealthUpkeepTest, TellsPublishesAndKeeps) {
  start();
  EXPECT_EQ(lists, 1);
  EXPECT_TRUE(told.empty());
  clock.pass(2s);
  settle();
  report(0, false);
  settle();
  EXPECT_EQ(last["health"],
            R"({"up":false,"count":1,"backends":["198.18.2.11:8080"],"reason":"connection refused"})");
  EXPECT_EQ(published.held_back[0], kDown);
  ASSERT_EQ(read_health_file(dir.path())->backends.size(), 1u);
  EXPECT_FALSE(read_health_file(dir.path())->backends.begin()->second.up);
}

TEST_F(HealthUpkeepTest, APoolWithoutABackendIsLoud) {
  start();
  report(0, false);
  report(1, false);
  clock.pass(2s);
  settle();
  EXPECT_EQ(
      last["health"],
      R"({"up":false,"count":2,"backends":["198.18.2.11:8080","198.18.2.12:8080"],"reason":"connection refused"})");
  EXPECT_EQ(last["pools"], R"({"mode":"all_serve","count":1,"pools":["service-a/blue"]})");
  report(0, true);
  clock.pass(2s);
  settle();
  EXPECT_EQ(last["pools"], R"({"mode":"normal","count":1,"pools":["service-a/blue"]})");
  EXPECT_EQ(last["health"], R"({"up":true,"count":1,"backends":["198.18.2.11:8080"]})");
}

TEST_F(HealthUpkeepTest, AProberThatFallsSilentIsAnEvent) {
  start();
  board.prober_came();
  upkeep.has_news();
  clock.pass(200ms);
  settle();
  EXPECT_EQ(told, std::vector<std::string>{"prober_up"});
  for (int i = 0; i < 5; ++i) {
    clock.pass(1s);
    settle();
  }
  EXPECT_EQ(told, (std::vector<std::string>{"prober_up", "prober_down"}));
}

// teald may be killed at any time. The next one says since when the health is unknown.
TEST_F(HealthUpkeepTest, TheFileHasTheTimeOfTheLatestReport) {
  start();
  board.prober_came();
  report(0, false);
  clock.pass(200ms);
  settle();
  for (int i = 0; i < 25; ++i) {
    clock.pass(1s);
    board.prober_spoke();
    settle();
    EXPECT_LE(clock.wall_ms() - read_health_file(dir.path())->heard_ms, 12'000);
  }
  const int64_t last_ms = clock.wall_ms();
  for (int i = 0; i < 8; ++i) {
    clock.pass(1s);
    settle();
  }
  EXPECT_EQ(read_health_file(dir.path())->heard_ms, last_ms) << "it is silent";
}

TEST_F(HealthUpkeepTest, AnotherConfigSendsAnotherList) {
  start();
  Config after = checked_shop();
  after.services[0].check->interval = 7s;
  catalogue.replace(after, catalogue.inventory());
  upkeep.has_new_catalogue();
  clock.pass(2s);
  settle();
  EXPECT_EQ(lists, 2);
  upkeep.has_new_catalogue();
  clock.pass(2s);
  settle();
  EXPECT_EQ(lists, 2) << "nothing has changed";
}

TEST_F(HealthUpkeepTest, ASlowStartIsPublishedStepByStep) {
  Config config = checked_shop();
  config.services[0].health.slow_start = 10s;
  catalogue.replace(config, catalogue.inventory());
  start();
  report(0, false);
  clock.pass(2s);
  settle();
  report(0, true);
  clock.pass(200ms);
  settle();
  int before = 255, steps = 0;
  for (int i = 0; i < 60; ++i) {
    EXPECT_LE(published.held_back[0], before);
    steps += published.held_back[0] != before;
    before = published.held_back[0];
    clock.pass(200ms);
    settle();
  }
  EXPECT_GT(steps, 20);
  EXPECT_EQ(published.held_back[0], 0);
}

// A config of 4,096 checked backends.
Config large_shop() {
  Config config;
  config.path = "teal.toml";
  for (int service = 0; service < 8; ++service) {
    std::vector<BackendConfig> pools[2];
    for (int i = 0; i < 512; ++i)
      pools[i % 2].push_back({tcp("198.18." + std::to_string(10 + service * 2 + i / 256) + "." +
                                  std::to_string(i % 256) + ":80"),
                              1});
    config.services.push_back(service_config("web-" + std::to_string(service),
                                             "198.18.0." + std::to_string(10 + service) + ":80", pools[0],
                                             pools[1]));
    config.services.back().check = HealthCheck();
  }
  return config;
}

class LargeHealthUpkeepTest : public HealthUpkeepTest {
 protected:
  LargeHealthUpkeepTest() : HealthUpkeepTest(large_shop()) {}
};

// All of them turn with every report. Events and files are bounded by time, not by the number of turns.
TEST_F(LargeHealthUpkeepTest, FourThousandFlappingBackendsAreToldInFewEvents) {
  start();
  ASSERT_EQ(board.checked(), 4096u);
  told.clear();
  for (int round = 0; round < 10; ++round) {
    for (uint16_t id = 0; id < 4096; ++id) report(id, round % 2 == 1);
    settle();
    clock.pass(100ms);
    settle();
  }
  clock.pass(2s);
  settle();
  EXPECT_LE(told.size(), 10u * 4) << "at most: backends up, backends down, pools by mode";
  EXPECT_EQ(last["health"].substr(0, 26), R"({"up":true,"count":4096,"b)");
  EXPECT_LT(last["health"].size(), 600u) << "16 names";
  EXPECT_EQ(published, HealthWords());
  EXPECT_EQ(read_health_file(dir.path())->backends.size(), 4096u);
}

}  // namespace
}  // namespace teal
