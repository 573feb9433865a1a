// SPDX-License-Identifier: Apache-2.0
#include "control/change/reload_plan.h"

#include <gtest/gtest.h>

#include "tests/unit/control/config/configs.h"

namespace teal {
namespace {

using Json = nlohmann::ordered_json;

class ReloadPlan : public testing::Test {
 protected:
  // Returns one line for each entry: "added backend service-a blue 198.18.2.14:8080 (weight 1)".
  std::vector<std::string> plan(const Config& after) {
    const Inventory held = renumber({}, before)->inventory;
    const Inventory next = renumber(held, after)->inventory;
    const Json plan = reload_plan(before, held, after, next, [](uint16_t backend) { return 100u + backend; });
    std::vector<std::string> lines;
    for (const char* list : {"added", "changed", "retired"}) {
      for (const Json& entry : plan[list]) {
        std::string line = list;
        for (const char* field : {"kind", "service", "colour", "address"})
          if (entry.contains(field)) line += " " + entry[field].get<std::string>();
        if (entry.contains("detail")) line += " (" + entry["detail"].get<std::string>() + ")";
        for (const char* field : {"flows", "breaks"})
          if (entry.contains(field))
            line += std::string(" ") + field + " " + std::to_string(entry[field].get<int>());
        lines.push_back(line);
      }
    }
    EXPECT_EQ(changes_nothing(plan), lines.empty());
    return lines;
  }
  using Lines = std::vector<std::string>;

  Config before = shop_config();
  Config after = shop_config();
};

TEST_F(ReloadPlan, TheSameFileChangesNothing) {
  std::reverse(after.services.begin(), after.services.end());
  EXPECT_EQ(plan(after), Lines());
}

TEST_F(ReloadPlan, BackendsComeGoAndChangeTheirWeight) {
  after.services[0].pools[0] = pool({"198.18.2.11:8080", "198.18.2.14:8080"});
  after.services[2].pools[1][0].weight = 5;
  EXPECT_EQ(plan(after), (Lines{"added backend service-a blue 198.18.2.14:8080 (weight 1)",
                                "changed backend service-c green 198.18.2.23:8080 (weight 2 -> 5)",
                                "retired backend service-a 198.18.2.12:8080 flows 101"}));
}

TEST_F(ReloadPlan, ABackendThatStaysInTheOtherColourIsNotRetired) {
  before.services[0].pools[1].push_back(before.services[0].pools[0][1]);
  after.services[0].pools[1] = before.services[0].pools[1];
  after.services[0].pools[0] = pool({"198.18.2.11:8080"});
  EXPECT_EQ(plan(after),
            (Lines{"changed backend service-a blue 198.18.2.12:8080 (leaves blue, stays in green)"}));
}

TEST_F(ReloadPlan, ServicesComeGoMoveAndAreRenamed) {
  after.services[0].name = "front";
  after.services[1].vip = tcp("[fd18::11]:80");
  after.services[2] =
      service_config("service-d", "198.18.0.12:80", pool({"198.18.2.30:80"}), pool({"198.18.2.31:80"}));
  after.groups = {{"shop", {"front", "service-b"}}, {"all", {"front"}}};
  EXPECT_EQ(plan(after),
            (Lines{"added service service-d (198.18.0.12:80, 1 blue backend, 1 green backend)",
                   "added group all (front)", "changed service front (renamed, was service-a)",
                   "changed service service-b (VIP [fd18::10]:80 -> [fd18::11]:80) breaks 207",
                   "changed group shop (service-a, service-b -> front, service-b)",
                   "retired service service-c (198.18.0.11:80, 1 blue backend, 1 green backend) flows 211"}))
      << "each flow is counted once";
}

TEST_F(ReloadPlan, ABackendThatMovesToAnotherServiceIsOneEntryWithItsCost) {
  after.services[0].pools[0] = pool({"198.18.2.11:8080"});
  after.services[2].pools[0].push_back(before.services[0].pools[0][1]);
  EXPECT_EQ(plan(after),
            Lines{"changed backend service-c blue 198.18.2.12:8080 (moves here from service-a, weight 1) "
                  "breaks 101"});
}

TEST_F(ReloadPlan, ABackendMovesFromAServiceThatLeavesToOneThatIsNew) {
  after.services[0] =
      service_config("service-d", "198.18.0.12:80", pool({"198.18.2.12:8080"}), pool({"198.18.2.31:80"}));
  after.groups.clear();
  before.groups.clear();
  EXPECT_EQ(
      plan(after),
      (Lines{"added service service-d (198.18.0.12:80, 1 blue backend, 1 green backend)",
             "changed backend service-d blue 198.18.2.12:8080 (moves here from service-a, weight 1) "
             "breaks 101",
             "retired service service-a (198.18.0.10:80, 2 blue backends, 1 green backend) flows 202"}));
}

TEST_F(ReloadPlan, AVipThatMovesToAnotherServiceIsToldOnBothSides) {
  after.services[0].vip = tcp("198.18.0.12:80");
  after.services[2].vip = before.services[0].vip;
  EXPECT_EQ(plan(after),
            (Lines{"changed service service-a (VIP 198.18.0.10:80 -> 198.18.0.12:80) breaks 303",
                   "changed service service-c (VIP 198.18.0.11:80 -> 198.18.0.10:80, which was that of "
                   "service-a) breaks 211"}));
}

TEST_F(ReloadPlan, TheFlowsOfAServiceWhoseVipIsTakenOverDoNotContinue) {
  after.services[2].vip = before.services[0].vip;
  after.services.erase(after.services.begin());
  after.groups.clear();
  before.groups.clear();
  EXPECT_EQ(plan(after),
            (Lines{"changed service service-c (VIP 198.18.0.11:80 -> 198.18.0.10:80, which was that of "
                   "service-a) breaks 211",
                   "retired service service-a (198.18.0.10:80, 2 blue backends, 1 green backend; service-c "
                   "takes over the VIP) breaks 303"}));
}

TEST_F(ReloadPlan, DrainTimeoutsGroupsAndSocketsAreTold) {
  after.services[0].drain = {std::chrono::minutes(2), DrainConfig::Then::kReset, DrainConfig::Udp::kCut};
  after.timeouts.embryonic = 7;
  after.reset_rate = 9;
  after.api.control.mode = 0600;
  after.groups.clear();
  EXPECT_EQ(plan(after),
            (Lines{"changed service service-a (drain 5m, then wait, udp stick -> 2m, then reset, udp cut)",
                   "changed timeouts (all flows follow the new ones at once)", "changed drain (reset_rate)",
                   "changed api (control: takes effect at once, without a restart)",
                   "retired group shop (service-a, service-b)"}));
}

TEST_F(ReloadPlan, EachChangedKeyOfHealthIsNamed) {
  after.services[0].check = HealthCheck();
  before.services[1].check = HealthCheck();
  before.services[2].check = after.services[2].check = HealthCheck();
  HealthCheck& check = *after.services[2].check;
  check.kind = CheckKind::kHttp;
  check.port = 81;
  check.match = "ok";
  check.path = "/x";
  check.most_status = 200;
  check.interval = std::chrono::seconds(2);
  check.timeout = std::chrono::milliseconds(500);
  check.rise = 3;
  check.fall = 4;
  after.services[2].health = {.on_down = HealthRules::OnDown::kReset,
                              .slow_start = std::chrono::seconds(30),
                              .panic = 25,
                              .empty = HealthRules::Empty::kReject,
                              .eject = {.is_on = false}};
  EXPECT_EQ(
      plan(after),
      (Lines{
          "changed service service-a (check none -> tcp)", "changed service service-b (check tcp -> none)",
          "changed service service-c (check: kind tcp -> http, port of the backend -> 81, path, status "
          "200-399 -> status 200, match, interval 1s -> 2s, timeout 1s -> 500ms, rise 2 -> 3, fall 3 -> 4)",
          "changed service service-c (on_down keep -> reset)",
          "changed service service-c (slow_start 0s -> 30s)", "changed service service-c (panic 0 -> 25)",
          "changed service service-c (empty serve -> reject)",
          "changed service service-c (eject 5 failures, 30s, 50 % -> off)"}));
}

TEST(Drift, IsTheRuntimeStateThatBeatsTheFile) {
  const Config config = shop_config();
  Inventory inventory = renumber({}, config)->inventory;
  {
    const Catalogue catalogue(config, inventory);
    EXPECT_TRUE(drift(catalogue.services()[0], catalogue.state(catalogue.services()[0]), true).empty());
  }
  inventory.services[0].active = Colour::kGreen;
  inventory.services[0].drain_then = DrainConfig::Then::kReset;
  inventory.backends[0].members[0] = {AdminState::kMaint, 7};
  inventory.backends[1].members[0] = {AdminState::kReady, 1};  // as the file says
  const Catalogue catalogue(config, inventory);
  EXPECT_EQ(drift(catalogue.services()[0], catalogue.state(catalogue.services()[0]), true),
            (std::vector<std::string>{
                "this drain is 5m, then reset, udp stick, the file says 5m, then wait, udp stick",
                "blue 198.18.2.11:8080 is in maint, so its weight is 0, the file says 1",
                "blue 198.18.2.11:8080 has weight 7, the file says 1"}));
  EXPECT_EQ(catalogue.services()[0].pools[0][0].weight, 0u) << "in maint";
  EXPECT_EQ(catalogue.services()[0].pools[0][1].weight, 1u);
}

}  // namespace
}  // namespace teal
