// SPDX-License-Identifier: Apache-2.0
#include "control/state/inventory.h"

#include <gtest/gtest.h>

#include "control/state/catalogue.h"
#include "control/state/splits.h"
#include "dataplane/shm/tsc_clock.h"
#include "tests/unit/control/config/configs.h"

namespace teal {
namespace {

constexpr auto kDefaultDrain = std::chrono::minutes(5);

Inventory numbered(const Inventory& stored, const Config& config) {
  auto renumbered = renumber(stored, config);
  EXPECT_TRUE(renumbered) << renumbered.error();
  return renumbered->inventory;
}

const BackendState* find(const Inventory& inventory, const std::string& socket) {
  for (const BackendState& backend : inventory.backends)
    if (to_string(backend.socket) == socket) return &backend;
  return nullptr;
}

TEST(Inventory, NumbersFromZeroInTheFilesOrder) {
  const Inventory inventory = numbered({}, shop_config());
  EXPECT_EQ(inventory.service("service-a")->id, 0);
  EXPECT_EQ(inventory.service("service-c")->id, 2);
  EXPECT_EQ(find(inventory, "198.18.2.11:8080")->id, 0);
  EXPECT_EQ(find(inventory, "198.18.2.21:8080")->id, 2);
  EXPECT_EQ(find(inventory, "[fd18:2::11]:8080")->service, 1);
}

TEST(Inventory, TheFilesActiveIsForTheFirstStartOnly) {
  Config config = shop_config();
  config.services[0].active = Colour::kGreen;
  Inventory inventory = numbered({}, config);
  EXPECT_EQ(inventory.service("service-a")->active, Colour::kGreen);
  config.services[0].active = Colour::kBlue;
  EXPECT_EQ(numbered(inventory, config).service("service-a")->active, Colour::kGreen);
}

TEST(Inventory, IdsStayWhenTheFileIsReordered) {
  const Inventory before = numbered({}, shop_config());
  Config config = shop_config();
  std::reverse(config.services.begin(), config.services.end());
  std::swap(config.services[2].pools[0], config.services[2].pools[1]);
  const Inventory after = numbered(before, config);
  for (const ServiceState& service : before.services) EXPECT_EQ(after.service(service.name)->id, service.id);
  for (const BackendState& backend : before.backends)
    EXPECT_EQ(find(after, to_string(backend.socket))->id, backend.id);
}

TEST(Inventory, WhatLeavesIsRetiredAndKeepsItsId) {
  const Inventory before = numbered({}, shop_config());
  Config config = shop_config();
  config.services.erase(config.services.begin());  // service-a, ids 0, backends 0..2
  config.services.push_back(
      service_config("new", "198.18.0.12:80", pool({"198.18.2.31:8080"}), pool({"198.18.2.32:8080"})));
  config.groups.clear();
  const Inventory after = numbered(before, config);
  EXPECT_TRUE(after.service(uint16_t{0})->retired);
  EXPECT_TRUE(find(after, "198.18.2.11:8080")->retired);
  EXPECT_EQ(after.service("new")->id, 3) << "0 is not free";
  EXPECT_EQ(find(after, "198.18.2.31:8080")->id, 7);
  EXPECT_TRUE(after.has_retired());

  const RulesetInput plan = ruleset_input(after, config);
  EXPECT_EQ(plan.services.size(), 4u);
  const auto retired =
      std::count_if(plan.backends.begin(), plan.backends.end(), [](const NumberedBackend& backend) {
        return backend.retired && !backend.weights[0] && !backend.weights[1];
      });
  EXPECT_EQ(retired, 3);
}

TEST(Inventory, TheRulesetKnowsWhichServicesResetTheFlowsOfABackendThatIsDown) {
  Config config = shop_config();
  config.services[2].health.on_down = HealthRules::OnDown::kReset;
  const RulesetInput plan = ruleset_input(numbered({}, config), config);
  EXPECT_FALSE(plan.services[0].on_down_reset);
  EXPECT_TRUE(plan.services[2].on_down_reset);
}

TEST(Inventory, ARetiredServiceThatReturnsIsTheSame) {
  Config config = shop_config();
  Inventory inventory = numbered({}, config);
  inventory.services[0].active = Colour::kGreen;
  Config without = config;
  without.services.erase(without.services.begin());
  const Inventory back = numbered(numbered(inventory, without), config);
  EXPECT_EQ(back.service("service-a")->id, 0);
  EXPECT_EQ(back.service("service-a")->active, Colour::kGreen);
  EXPECT_FALSE(back.has_retired());
}

TEST(Inventory, FreedIdsAreGivenAgainLowestFirst) {
  Inventory before = numbered({}, shop_config());
  std::erase_if(before.backends, [](const BackendState& backend) { return backend.id == 1; });
  Config config = shop_config();
  config.services[0].pools[0] = pool({"198.18.2.11:8080", "198.18.2.99:8080"});
  EXPECT_EQ(find(numbered(before, config), "198.18.2.99:8080")->id, 1);
}

TEST(Inventory, ARenamedServiceIsKnownByItsVip) {
  Inventory before = numbered({}, shop_config());
  before.services[0].active = Colour::kGreen;
  Config config = shop_config();
  config.services[0].name = "front-page";
  const Inventory after = numbered(before, config);
  EXPECT_EQ(after.service("front-page")->id, 0);
  EXPECT_EQ(after.service("front-page")->active, Colour::kGreen);
  EXPECT_FALSE(after.has_retired());
}

TEST(Inventory, ABackendThatMovesToAnotherServiceGetsANewId) {
  const Inventory before = numbered({}, shop_config());
  Config config = shop_config();
  config.services[0].pools[0] = pool({"198.18.2.11:8080"});
  config.services[2].pools[0] = pool({"198.18.2.12:8080"});  // was service-a's, id 1
  const Inventory after = numbered(before, config);
  EXPECT_EQ(find(after, "198.18.2.12:8080")->service, 2);
  EXPECT_NE(find(after, "198.18.2.12:8080")->id, 1);
  const auto old = std::find_if(after.backends.begin(), after.backends.end(),
                                [](const BackendState& b) { return b.id == 1; });
  EXPECT_TRUE(old->retired);
  EXPECT_EQ(old->service, 0) << "flows of the old id stay with the old service";
  auto rules = std::make_unique<Ruleset>();
  EXPECT_TRUE(build_ruleset(ruleset_input(after, config), *rules)) << "sockets are unique";
}

TEST(Inventory, RunsOutOfIdsAloud) {
  Inventory before;
  before.services.push_back({0, "gone", tcp("198.18.0.99:80")});
  for (uint16_t id = 0; id < kMaxBackends; ++id) {
    const uint8_t address[4] = {10, 0, static_cast<uint8_t>(id >> 8), static_cast<uint8_t>(id)};
    before.backends.push_back(
        {id, 0, {IpAddress::from_v4(address), Be16::from_host(80), kProtocolTcp}, true});
  }
  const auto renumbered = renumber(before, shop_config());
  ASSERT_FALSE(renumbered);
  EXPECT_NE(renumbered.error().find("no free id for a backend"), std::string::npos);
}

TEST(Inventory, LearnsALaterFlipFromTheSegmentAndNoEarlierOne) {
  Inventory inventory = numbered({}, shop_config());
  inventory.services[1].active = Colour::kGreen;
  inventory.services[1].flip_generation = 30;
  TrafficSplits splits{};
  splits.services[0] = {Colour::kGreen, Colour::kBlue, 0, 40, 900, 100};
  splits.services[1] = {Colour::kBlue, Colour::kGreen, 0, 20, 900, 100};
  EXPECT_EQ(learn_splits(inventory, 40, splits, 1000, 50'000), std::vector<uint16_t>{0});
  EXPECT_EQ(inventory.services[0].active, Colour::kGreen);
  EXPECT_EQ(inventory.services[0].previous, Colour::kBlue);
  EXPECT_EQ(inventory.services[0].flip_generation, 40u);
  EXPECT_EQ(inventory.services[0].flipped_at_ms, 50'000 - 100 * 10);
  EXPECT_EQ(inventory.services[1].active, Colour::kGreen);
}

Inventory with_a_ramp() {
  Inventory inventory = numbered({}, shop_config());
  inventory.services[0].ramp = Ramp{7, {.steps = {500, 2500, kShareOne}}, 1, {}};
  return inventory;
}

uint16_t share_learnt(Inventory& inventory, uint16_t share) {
  TrafficSplits splits{};
  splits.services[0] = {Colour::kBlue, Colour::kBlue, share};
  EXPECT_TRUE(learn_splits(inventory, 40, splits, 1000, 50'000).empty());
  return inventory.services[0].share();
}

TEST(Inventory, ASplitHasTheShareOfTheRamp) {
  const Inventory inventory = with_a_ramp();
  EXPECT_EQ(make_splits(inventory, shop_config(), nullptr, 1000, 1).services[0].other_share, 2500);
  EXPECT_EQ(make_splits(inventory, shop_config(), nullptr, 1000, 1).services[1].other_share, 0);
}

TEST(Inventory, TheShareOfTheSegmentWinsAndPausesTheRamp) {
  Inventory same = with_a_ramp(), lower = with_a_ramp(), none = with_a_ramp(), other = with_a_ramp();
  EXPECT_EQ(share_learnt(same, 2500), 2500);
  EXPECT_FALSE(same.services[0].ramp->paused);
  EXPECT_EQ(share_learnt(lower, 500), 500);
  EXPECT_EQ(lower.services[0].ramp->step, 0u);
  EXPECT_TRUE(lower.services[0].ramp->paused);
  EXPECT_EQ(share_learnt(none, 0), 0);
  EXPECT_FALSE(none.services[0].ramp);
  EXPECT_EQ(share_learnt(other, 700), 700);
  EXPECT_EQ(other.services[0].ramp->plan.steps, (std::vector<uint16_t>{700, kShareOne}));
  EXPECT_TRUE(other.services[0].ramp->paused);
}

TEST(Inventory, AServiceThatLeavesTheConfigKeepsNoRamp) {
  const Inventory before = with_a_ramp();
  Config without = shop_config();
  without.groups.clear();
  without.services.erase(without.services.begin());
  const Inventory after = numbered(before, without);
  for (const ServiceState& service : after.services) EXPECT_FALSE(service.ramp) << service.name;
}

TEST(Inventory, AShareIsLearntWithoutADatabase) {
  Inventory lost = numbered({}, shop_config());
  EXPECT_EQ(share_learnt(lost, 2500), 2500);
  EXPECT_TRUE(lost.services[0].ramp->paused);
}

TEST(Inventory, GenerationsAbove32BitsAreLearntWhole) {
  Inventory inventory = numbered({}, shop_config());
  TrafficSplits splits{};
  const uint64_t flip = 0x1'ffff'fff0, now = 0x2'0000'0005;
  splits.services[0] = {Colour::kGreen, Colour::kBlue, 0, static_cast<uint32_t>(flip), 900, 100};
  learn_splits(inventory, now, splits, 1000, 50'000);
  EXPECT_EQ(inventory.services[0].flip_generation, flip);
}

TEST(Inventory, SplitsKeepTheSegmentsTimeOfTheSameFlip) {
  const Config config = shop_config();
  Inventory inventory = numbered({}, config);
  inventory.services[0].active = Colour::kGreen;
  inventory.services[0].previous = Colour::kBlue;
  inventory.services[0].flip_generation = 40;
  inventory.services[0].flipped_at_ms = 1'000'000;
  const uint32_t drain = drain_ticks(kDefaultDrain);
  // Another boot: reckoned from the wall clock, 2 s ago.
  const TrafficSplits fresh = make_splits(inventory, config, nullptr, 5000, 1'002'000);
  EXPECT_EQ(fresh.services[0].flipped_at_tick, 4800u);
  EXPECT_EQ(fresh.services[0].drain_ticks, drain);
  EXPECT_EQ(fresh.services[1].drain_ticks, 0u) << "never flipped";
  // The same segment: as it was, even though the wall clock was set.
  const TrafficSplits again = make_splits(inventory, config, &fresh, 6000, 9'000'000);
  EXPECT_TRUE(same_splits(inventory, fresh, again));
  // Long ago: the drain is over, and stays over.
  const TrafficSplits late = make_splits(inventory, config, nullptr, 5000, 1'000'000'000'000);
  EXPECT_EQ(5000u - late.services[0].flipped_at_tick, drain);
}

TEST(Inventory, OfARulesetGivesTheSameRulesAgain) {
  const Config config = shop_config();
  const Inventory before = numbered({}, config);
  auto rules = std::make_unique<Ruleset>(), again = std::make_unique<Ruleset>();
  ASSERT_TRUE(build_ruleset(ruleset_input(before, config), *rules));
  const TrafficSplits splits = make_splits(before, config, nullptr, 1, 1);
  const Inventory recovered = numbered(inventory_of(*rules, splits), config);
  ASSERT_TRUE(build_ruleset(ruleset_input(recovered, config), *again));
  EXPECT_TRUE(same_rules(*rules, *again));
  EXPECT_EQ(recovered.services.size(), before.services.size());
  EXPECT_EQ(recovered.service("service-b")->id, before.service("service-b")->id);
}

TEST(Inventory, OtherRulesAreNotTheSame) {
  Config config = shop_config();
  const Inventory inventory = numbered({}, config);
  auto rules = std::make_unique<Ruleset>(), other = std::make_unique<Ruleset>();
  ASSERT_TRUE(build_ruleset(ruleset_input(inventory, config), *rules));
  config.services[0].pools[0][0].weight = 3;
  ASSERT_TRUE(build_ruleset(ruleset_input(inventory, config), *other));
  EXPECT_FALSE(same_rules(*rules, *other)) << "a weight";
  config = shop_config();
  config.timeouts.tcp_closed += 1;
  ASSERT_TRUE(build_ruleset(ruleset_input(inventory, config), *other));
  EXPECT_FALSE(same_rules(*rules, *other)) << "a timeout";
}

TEST(Catalogue, JoinsPoolsWithIds) {
  const Catalogue catalogue(shop_config(), numbered({}, shop_config()));
  const CatalogueService* service = catalogue.find("service-a");
  ASSERT_NE(service, nullptr);
  EXPECT_EQ(service->pools[0][1].id, 1);
  EXPECT_EQ(service->pools[1][0].id, 2);
  EXPECT_EQ(catalogue.find("service-x"), nullptr);
  EXPECT_EQ(catalogue.backend(3)->service, 1);
  EXPECT_EQ(catalogue.backend(4000), nullptr);
}

}  // namespace
}  // namespace teal
