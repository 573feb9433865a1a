// SPDX-License-Identifier: Apache-2.0
//
// Health in a whole teald: the socket, the API, metrics, the segment and a restart. A test plays the prober.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "control/health/health_messages.h"
#include "control/kernel/backend_words.h"
#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/health/played_prober.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

class HealthDaemon : public testing::Test {
 protected:
  HealthDaemon() {
    std::filesystem::create_directories(home.run_dir());
    write_config("");
  }
  void write_config(const std::string& keys, const std::string& check = "kind = \"http\"\n") {
    std::string toml = kShopToml;
    const std::string after = "green = [\"198.18.2.21:8080\"]\n";
    toml.insert(toml.find(after) + after.size(), keys + "[service.check]\n" + check);
    home.write_config(toml);
  }
  // Connects, and reads the list.
  void connect() {
    prober.emplace(home.run_dir() + "/health.sock");
    ASSERT_TRUE(prober->is_connected());
    std::string text;
    ASSERT_TRUE(FakeDataplane::wait_for([&] {
      (void)prober->hear(text);
      return text.ends_with("]}\n");
    }));
    text.pop_back();
    list = std::get<CheckList>(*parse_to_prober(text.substr(text.rfind('\n') + 1)));
  }
  void report(const std::string& address, bool up, const std::string& reason = "") {
    for (const CheckOrder& order : list.checks)
      if (to_string(order.address) == address)
        prober->say(line_of(HealthReport{
            .revision = list.revision, .backend = order.backend, .up = up, .passed = up, .reason = reason}));
  }
  nlohmann::json backend(size_t index = 0) {
    return home.service("service-a")["colours"]["blue"]["backends"][index];
  }
  bool becomes(const std::string& health, size_t index = 0) {
    return FakeDataplane::wait_for([&] { return backend(index)["health"] == health; });
  }
  std::string metrics() {
    return send_raw(home.socket(), "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }

  DaemonHome home;
  std::optional<PlayedProber> prober;
  CheckList list;
};

TEST_F(HealthDaemon, GivesItsListAndShowsWhatIsReported) {
  RunningDaemon daemon(home);
  EXPECT_EQ(backend()["health"], "unchecked");
  EXPECT_TRUE(backend().contains("health_unknown_since")) << "no prober yet";
  EXPECT_TRUE(home.service("service-b")["colours"]["blue"]["backends"][0]["health"].is_null()) << "no check";
  connect();
  ASSERT_EQ(list.checks.size(), 3u);
  EXPECT_EQ(list.checks[0].check.kind, CheckKind::kHttp);
  report("198.18.2.11:8080", false, "HTTP 503, expected 200 to 399");
  ASSERT_TRUE(becomes("down"));
  EXPECT_EQ(backend()["health_reason"], "HTTP 503, expected 200 to 399");
  EXPECT_FALSE(backend().contains("health_unknown_since"));
  const nlohmann::json health = home.get("/v1/health?service=service-a").body;
  EXPECT_EQ(health["prober"]["checked"], 3);
  EXPECT_EQ(health["prober"]["fresh"], true);
  EXPECT_EQ(health["services"].size(), 1u);
  EXPECT_EQ(health["services"][0]["check"]["kind"], "http");
  EXPECT_EQ(health["services"][0]["pools"]["blue"]["weight_up"], 1);
  EXPECT_EQ(health["services"][0]["backends"][0]["last_check"], "failed");
  EXPECT_EQ(home.get("/v1/health").body["services"].size(), 3u);
  EXPECT_EQ(home.get("/v1/health?service=none").status, 404u);
  const std::string text = metrics();
  EXPECT_NE(text.find(R"(teal_backend_up{service="service-a",colour="blue",backend="198.18.2.11:8080"} 0)"),
            std::string::npos)
      << text;
  EXPECT_NE(
      text.find(
          R"(teal_backend_check_passed{service="service-a",colour="blue",backend="198.18.2.11:8080"} 0)"),
      std::string::npos);
  EXPECT_NE(text.find("teal_health_prober_up 1\n"), std::string::npos);
  EXPECT_NE(text.find("teal_health_checked_backends 3\n"), std::string::npos);
}

TEST_F(HealthDaemon, WritesTheWordsOfTheWorkersAlsoIntoANewSegment) {
  write_config("empty = \"reject\"\n");
  auto dataplane = std::make_unique<FakeDataplane>(home.run_dir());
  RunningDaemon daemon(home);
  connect();
  const auto held_back = [&] { return BackendWords(dataplane->segment().header()).held_back(0); };
  report("198.18.2.11:8080", false, "connection refused");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return held_back() == kDown; }));
  const auto mode = [&] { return BackendWords(dataplane->segment().header()).mode(0, Colour::kBlue); };
  EXPECT_EQ(mode(), PoolMode::kNormal);
  report("198.18.2.12:8080", false, "connection refused");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return mode() == PoolMode::kReject; }));
  dataplane.reset();
  std::filesystem::remove(home.run_dir() + "/segment");
  dataplane = std::make_unique<FakeDataplane>(home.run_dir());
  EXPECT_TRUE(home.comes_true([&] { return held_back() == kDown && mode() == PoolMode::kReject; }));
}

TEST_F(HealthDaemon, TheModeOfAPoolIsSeenInTheServiceAndTheMetrics) {
  write_config("panic = 60\nempty = \"reject\"\n");
  RunningDaemon daemon(home);
  const auto series = [&](const std::string& mode, const std::string& colour = "blue") {
    const std::string text = metrics(), name = R"(teal_service_pool_mode{service="service-a",colour=")" +
                                               colour + R"(",mode=")" + mode + "\"} ";
    const size_t at = text.find(name);
    return at == std::string::npos ? "none" : text.substr(at + name.size(), 1);
  };
  const auto mode = [&] { return home.service("service-a")["colours"]["blue"]["mode"]; };
  EXPECT_EQ(mode(), "normal");
  for (const char* name : {"all_serve", "reject"}) EXPECT_EQ(series(name), "0") << "before the first outage";
  EXPECT_EQ(series("normal"), "1");
  connect();
  report("198.18.2.11:8080", false, "connection refused");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return mode() == "all_serve"; }));
  EXPECT_EQ(series("all_serve"), "1");
  EXPECT_EQ(series("normal"), "0");
  report("198.18.2.12:8080", false, "connection refused");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return mode() == "reject"; }));
  EXPECT_EQ(series("reject"), "1");
  EXPECT_EQ(series("normal", "green"), "1");
}

TEST_F(HealthDaemon, ASilentProberIsToldEverywhere) {
  RunningDaemon daemon(home);
  connect();
  report("198.18.2.11:8080", false, "connection refused");
  ASSERT_TRUE(becomes("down"));
  home.clock().skip(4s);
  EXPECT_TRUE(backend().contains("health_unknown_since"));
  EXPECT_TRUE(backend()["health_unknown_since"].is_string());
  EXPECT_EQ(backend()["health"], "down") << "the last known health stays";
  EXPECT_EQ(home.get("/v1/services").body["health"]["fresh"], false);
  EXPECT_EQ(home.get("/v1/health").body["prober"]["connected"], true);
  EXPECT_NE(metrics().find("teal_health_prober_up 0\n"), std::string::npos);
}

TEST_F(HealthDaemon, AfterARestartTealKeepsWhatItKnew) {
  {
    RunningDaemon daemon(home);
    connect();
    report("198.18.2.11:8080", false, "connection refused");
    report("198.18.2.12:8080", true);
    ASSERT_TRUE(becomes("up", 1));
    ASSERT_TRUE(FakeDataplane::wait_for([&] {
      std::ifstream file(home.run_dir() + "/health.json");
      const std::string text((std::istreambuf_iterator<char>(file)), {});
      return text.find("connection refused") != std::string::npos &&
             text.find("\"up\":true") != std::string::npos;
    }));
  }
  prober.reset();
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  EXPECT_EQ(backend(0)["health"], "down") << "it never assumes that all are up";
  EXPECT_EQ(backend(0)["health_reason"], "connection refused");
  EXPECT_EQ(backend(1)["health"], "up");
  EXPECT_TRUE(backend(1).contains("health_unknown_since"));
  EXPECT_TRUE(FakeDataplane::wait_for(
      [&] { return BackendWords(dataplane.segment().header()).held_back(0) == kDown; }));
  connect();
  EXPECT_EQ(list.checks[0].up, false) << "the new prober hears it";
}

TEST_F(HealthDaemon, ADamagedHealthFileIsNoReasonNotToStart) {
  std::ofstream(home.run_dir() + "/health.json") << "{\"version\":1,";
  RunningDaemon daemon(home);
  EXPECT_EQ(backend()["health"], "unchecked");
}

TEST_F(HealthDaemon, AReloadOfTheChecksReachesTheProber) {
  RunningDaemon daemon(home);
  connect();
  write_config("on_down = \"reset\"\npanic = 30\n", "kind = \"tcp\"\ninterval = \"2s\"\n");
  const ApiReply dry = home.post("/v1/reload", R"({"dry_run":true})");
  const std::string plan = dry.body["plan"]["changed"].dump();
  EXPECT_NE(plan.find("check: kind http -> tcp, interval 1s -> 2s"), std::string::npos) << plan;
  EXPECT_NE(plan.find("on_down keep -> reset"), std::string::npos) << plan;
  EXPECT_NE(plan.find("panic 0 -> 30"), std::string::npos) << plan;
  ASSERT_EQ(home.post("/v1/reload", "{}").status, 200u);
  std::string text;
  ASSERT_TRUE(FakeDataplane::wait_for([&] {
    (void)prober->hear(text);
    return text.ends_with("]}\n");
  }));
  text.pop_back();
  const auto next = std::get<CheckList>(*parse_to_prober(text));
  EXPECT_EQ(next.checks[0].check.kind, CheckKind::kTcp);
  EXPECT_EQ(next.checks[0].check.interval, 2s);
}

}  // namespace
}  // namespace teal
