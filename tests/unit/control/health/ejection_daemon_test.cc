// SPDX-License-Identifier: Apache-2.0
//
// Passive ejection in a whole teald: the counters of the workers, the words in the segment, the API, metrics,
// and the gates of a flip.
#include <gtest/gtest.h>

#include <filesystem>

#include "control/kernel/backend_words.h"
#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class EjectionDaemon : public testing::Test {
 protected:
  EjectionDaemon() {
    std::filesystem::create_directories(home.run_dir());
    dataplane.emplace(home.run_dir());
  }
  BackendSignals& signals(uint16_t backend, Colour colour) {
    return dataplane->segment().worker(0).signals[backend][static_cast<size_t>(colour)];
  }
  uint8_t held_back(uint16_t backend) {
    return BackendWords(dataplane->segment().header()).held_back(backend);
  }
  json backend(size_t index) { return home.service("service-a")["colours"]["blue"]["backends"][index]; }
  // Refuses flows until the backend is ejected: the first look takes the counts as they are.
  bool is_ejected_by_refusals(uint16_t id, Colour colour) {
    return FakeDataplane::wait_for([&] {
      signals(id, colour).refused.add(1);
      const json health = home.get("/v1/health?service=service-a").body["services"][0];
      for (const json& backend : health["backends"])
        if (backend["colour"] == kColourNames[static_cast<size_t>(colour)] && backend.contains("ejected"))
          return true;
      return false;
    });
  }

  DaemonHome home;
  std::optional<FakeDataplane> dataplane;
};

TEST_F(EjectionDaemon, ABackendThatRefusesIsEjectedShownAndComesBack) {
  RunningDaemon daemon(home);
  const uint16_t id = backend(0)["id"];
  ASSERT_TRUE(is_ejected_by_refusals(id, Colour::kBlue));
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return held_back(id) == kDown; }));
  const json shown = backend(0);
  EXPECT_GE(shown["ejected"]["failures"], 5);
  EXPECT_EQ(shown["ejected"]["times"], 1);
  EXPECT_NE(shown["ejected"]["reason"].get<std::string>().find("failures since its last answer"),
            std::string::npos);
  EXPECT_FALSE(backend(1).contains("ejected"));
  const json health = home.get("/v1/health?service=service-a").body["services"][0];
  EXPECT_EQ(health["pools"]["blue"]["weight_up"], 1);
  const std::string metrics =
      send_raw(home.socket(), "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(
      metrics.find(R"(teal_backend_ejected{service="service-a",colour="blue",backend="198.18.2.11:8080"} 1)"),
      std::string::npos);
  EXPECT_TRUE(home.comes_true([&] { return held_back(id) == kTakesAll; })) << "30 s later";
  EXPECT_FALSE(backend(0).contains("ejected"));
}

// A SYN flood uses up the table: its flows fail, and only flows without an entry are answered.
TEST_F(EjectionDaemon, ABackendThatAnswersClientsWithoutAnEntryIsNotEjected) {
  RunningDaemon daemon(home);
  const uint16_t flooded = backend(0)["id"], dead = backend(1)["id"];
  EXPECT_TRUE(FakeDataplane::wait_for([&] {
    signals(dead, Colour::kBlue).refused.add(1);
    signals(flooded, Colour::kBlue).unanswered.add(100);
    dataplane->segment().worker(0).stateless_answers[flooded].add(1);
    return backend(1).contains("ejected") || backend(0).contains("ejected");
  }));
  EXPECT_FALSE(backend(0).contains("ejected"));
}

TEST_F(EjectionDaemon, WhileFlowsFindNoRoomFailuresProveLittle) {
  RunningDaemon daemon(home);
  const uint16_t id = backend(0)["id"];
  auto& failed_at = dataplane->segment().flows().last_insert_failure_tick;
  const auto ends = std::chrono::steady_clock::now() + 1s;
  while (std::chrono::steady_clock::now() < ends) {
    failed_at.store(home.clock().tick());
    signals(id, Colour::kBlue).unanswered.add(10);
    ASSERT_FALSE(backend(0).contains("ejected"));
  }
  failed_at.store(0);
  EXPECT_TRUE(is_ejected_by_refusals(id, Colour::kBlue));
}

TEST_F(EjectionDaemon, TheGatesOfAFlipCountAnEjectedBackendAsNotHealthy) {
  std::string toml = kShopToml;
  const std::string name = "name = \"service-a\"\n";
  toml.insert(toml.find(name) + name.size(), "eject = { max_share = 100 }\n");
  home.write_config(toml);
  RunningDaemon daemon(home);
  const uint16_t id = home.service("service-a")["colours"]["green"]["backends"][0]["id"];
  ASSERT_EQ(home.post("/v1/ramp",
                      R"({"services":["service-a"],"to":"green","steps":["5%","50%","100%"],"manual":true})")
                .status,
            200u);
  ASSERT_TRUE(is_ejected_by_refusals(id, Colour::kGreen));
  const ApiReply refused = home.post("/v1/next", R"({"services":["service-a"]})");
  EXPECT_EQ(refused.status, 422u) << refused.body;
  EXPECT_NE(refused.body["error"]["details"].dump().find("service-a/green/198.18.2.21:8080: ejected: "),
            std::string::npos)
      << refused.body;
  EXPECT_EQ(held_back(id), kTakesAll) << "ejections alone never empty a pool";
  ASSERT_EQ(home.post("/v1/abort", R"({"services":["service-a"]})").status, 200u);
  EXPECT_TRUE(FakeDataplane::wait_for([&] {
    return !home.service("service-a")["colours"]["green"]["backends"][0].contains("ejected");
  })) << "the colour gets no new flows: an operator may begin again";
  EXPECT_EQ(home.flip("service-a", "green").status, 200u);
}

}  // namespace
}  // namespace teal
