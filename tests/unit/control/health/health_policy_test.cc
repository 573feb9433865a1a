// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_policy.h"

#include <gtest/gtest.h>

#include "control/kernel/backend_words.h"
#include "control/kernel/health_words.h"
#include "tests/unit/control/health/checked_shop.h"

#include <random>

namespace teal {
namespace {

using namespace std::chrono_literals;
using Empty = HealthRules::Empty;

HealthWords words_of(const CheckedShop& shop) {
  return health_words(shop.catalogue, shop.board, shop.clock.now());
}

struct ModeCase {
  uint64_t up, all;
  uint32_t panic;
  Empty empty;
  PoolMode mode;
};
constexpr ModeCase kModes[] = {
    {4, 4, 0, Empty::kServe, PoolMode::kNormal},
    {1, 4, 0, Empty::kServe, PoolMode::kNormal},     // no panic by default
    {0, 4, 0, Empty::kServe, PoolMode::kAllServe},   // nobody is up: all serve
    {0, 4, 0, Empty::kReject, PoolMode::kReject},    // or nobody
    {1, 4, 25, Empty::kServe, PoolMode::kNormal},    // exactly at the limit
    {1, 4, 26, Empty::kServe, PoolMode::kAllServe},  // below it
    {1, 4, 26, Empty::kReject, PoolMode::kAllServe},
    {0, 4, 50, Empty::kReject, PoolMode::kReject},
    {3, 4, 100, Empty::kServe, PoolMode::kAllServe},
    {4, 4, 100, Empty::kReject, PoolMode::kNormal},
    {0, 0, 50, Empty::kReject, PoolMode::kNormal},  // all in maint: nothing can serve
    {4'095'999, 4'096'000, 100, Empty::kServe, PoolMode::kAllServe},
};

TEST(PoolModes, FollowTheWeightThatIsUp) {
  for (const ModeCase& c : kModes)
    EXPECT_EQ(pool_mode({c.up, c.all}, {.panic = c.panic, .empty = c.empty}), c.mode)
        << c.up << " of " << c.all << ", panic " << c.panic;
}

TEST(SlowStart, GrowsEvenly) {
  const Clock::Time rose(1h);
  EXPECT_EQ(ramp(rose, 0s, rose), 0) << "no slow start";
  EXPECT_EQ(ramp(rose, 10s, rose), 254) << "not 255: it is up, and takes something";
  EXPECT_EQ(ramp(rose, 10s, rose + 5s), 127);
  EXPECT_EQ(ramp(rose, 10s, rose + 9999ms), 1);
  EXPECT_EQ(ramp(rose, 10s, rose + 10s), 0);
  EXPECT_EQ(ramp(rose, 10s, rose + 24h), 0);
  EXPECT_EQ(ramp(rose, 10s, rose - 1s), 254) << "a clock that jumps back";
  uint8_t before = 254;
  for (auto passed = 0ms; passed <= 10s; passed += 10ms) {
    const uint8_t now = ramp(rose, 10s, rose + passed);
    EXPECT_LE(now, before);
    EXPECT_GE(now + 1, before);
    before = now;
  }
}

TEST(HealthPolicy, OnlyBackendsThatAreDownAreHeldBack) {
  CheckedShop shop;
  EXPECT_EQ(words_of(shop), HealthWords()) << "unchecked backends serve";
  shop.report("198.18.2.11:8080", false, "x");
  HealthWords expected;
  expected.held_back[shop.id("198.18.2.11:8080")] = kDown;
  EXPECT_EQ(words_of(shop), expected);
  shop.report("198.18.2.12:8080", false, "x");
  expected.held_back[shop.id("198.18.2.12:8080")] = kDown;
  expected.modes[0][0] = PoolMode::kAllServe;
  EXPECT_EQ(words_of(shop), expected) << "blue has nobody left";
  shop.report("198.18.2.11:8080", true);
  shop.report("198.18.2.12:8080", true);
  EXPECT_EQ(words_of(shop), HealthWords()) << "no slow start by default";
}

TEST(HealthPolicy, ASilentProberChangesNothing) {
  CheckedShop shop;
  shop.board.prober_came();
  shop.report("198.18.2.11:8080", false, "x");
  const HealthWords before = words_of(shop);
  shop.board.prober_left();
  shop.clock.pass(24h);
  EXPECT_EQ(words_of(shop), before) << "it never assumes that all are up";
}

TEST(HealthPolicy, WeightsAndAdminStatesCount) {
  Config config = checked_shop();
  config.services[0].pools[0][0].weight = 9;
  config.services[0].health.panic = 50;
  CheckedShop shop(config);
  shop.report("198.18.2.12:8080", false, "x");
  EXPECT_EQ(words_of(shop).modes[0][0], PoolMode::kNormal) << "9 of 10 is up";
  BackendState blue = *shop.catalogue.backend(shop.id("198.18.2.11:8080"));
  blue.members[0].admin = AdminState::kMaint;
  shop.catalogue.set_backends({blue});
  EXPECT_EQ(words_of(shop).modes[0][0], PoolMode::kAllServe) << "the only one that may serve is down";
}

TEST(HealthPolicy, ABackendThatComesBackRampsUp) {
  Config config = checked_shop();
  config.services[0].health.slow_start = 10s;
  CheckedShop shop(config);
  const uint16_t id = shop.id("198.18.2.11:8080");
  shop.report("198.18.2.11:8080", true);
  EXPECT_EQ(words_of(shop).held_back[id], 0) << "it was not down";
  shop.report("198.18.2.11:8080", false, "x");
  shop.report("198.18.2.11:8080", true);
  EXPECT_EQ(words_of(shop).held_back[id], 254);
  EXPECT_TRUE(words_of(shop).is_ramping);
  shop.clock.pass(10s);
  EXPECT_EQ(words_of(shop).held_back[id], 0);
  EXPECT_FALSE(words_of(shop).is_ramping);
}

TEST(HealthWordsInTheSegment, AreWrittenAndToldOnce) {
  CheckedShop shop;
  const auto header = std::make_unique<SegmentHeader>();
  const BackendWords segment(*header);
  EXPECT_FALSE(store_health(*header, words_of(shop))) << "a new segment says that all are up";
  shop.report("198.18.2.11:8080", false, "x");
  const uint16_t id = shop.id("198.18.2.11:8080");
  EXPECT_TRUE(store_health(*header, words_of(shop)));
  EXPECT_EQ(segment.held_back(id), kDown);
  EXPECT_EQ(header->health_changes.load(), 1u);
  EXPECT_FALSE(store_health(*header, words_of(shop))) << "nothing new";
  shop.report("198.18.2.11:8080", true);
  EXPECT_FALSE(store_health(*header, words_of(shop))) << "flows need not be looked at";
  EXPECT_EQ(segment.held_back(id), kTakesAll);
  for (const char* address : {"198.18.2.11:8080", "198.18.2.12:8080"}) shop.report(address, false, "x");
  EXPECT_TRUE(store_health(*header, words_of(shop)));
  EXPECT_EQ(segment.mode(0, Colour::kBlue), PoolMode::kAllServe);
  EXPECT_EQ(segment.mode(0, Colour::kGreen), PoolMode::kNormal);
}

// Whatever happens, the words say what the board says, and a pool with a serving backend is never empty.
TEST(HealthPolicy, HoldsItsPromisesInRandomSequences) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    Config config = checked_shop();
    config.services[0].health = {.slow_start = std::chrono::seconds(random() % 20),
                                 .panic = static_cast<uint32_t>(random() % 101),
                                 .empty = random() % 2 == 0 ? Empty::kServe : Empty::kReject};
    CheckedShop shop(config);
    const auto header = std::make_unique<SegmentHeader>();
    for (int step = 0; step < 300; ++step) {
      const char* addresses[] = {"198.18.2.11:8080", "198.18.2.12:8080", "198.18.2.21:8080",
                                 "198.18.2.13:8080"};
      shop.report(addresses[random() % 4], random() % 2 == 0, "x");
      shop.clock.pass(std::chrono::milliseconds(random() % 3000));
      const HealthWords words = words_of(shop);
      store_health(*header, words);
      for (const CheckOrder& order : shop.board.list().checks) {
        const bool is_down = shop.board.is_down(order.backend);
        ASSERT_EQ(words.held_back[order.backend] == kDown, is_down);
        ASSERT_EQ(BackendWords(*header).held_back(order.backend), words.held_back[order.backend]);
      }
      for (size_t colour = 0; colour < kColours; ++colour) {
        const PoolWeight weight = weight_of(shop.catalogue.services()[0].pools[colour], shop.board);
        const PoolMode mode = words.modes[0][colour];
        ASSERT_FALSE(weight.up == 0 && mode == PoolMode::kNormal);
        ASSERT_FALSE(weight.up != 0 && mode == PoolMode::kReject);
        ASSERT_FALSE(weight.up == weight.all && mode != PoolMode::kNormal);
      }
    }
  }
}

// service-a's blue pool with three backends of weight 1.
class CheckedSince : public testing::Test {
 protected:
  static Config with_three() {
    Config config = checked_shop();
    config.services[0].pools[0] = pool({"198.18.2.11:8080", "198.18.2.12:8080", "198.18.2.14:8080"});
    return config;
  }
  std::optional<std::pair<uint64_t, uint64_t>> says(bool is_over) {
    const auto weight = checked_since(shop.catalogue.services()[0].pools[0], shop.board, asked, is_over);
    if (!weight) return std::nullopt;
    return std::pair(weight->up, weight->all);
  }
  void ask() {
    shop.board.prober_came();
    for (const char* address : {"198.18.2.11:8080", "198.18.2.12:8080", "198.18.2.14:8080"})
      shop.report(address, true);
    shop.clock.pass(1s);
    asked = shop.clock.now();
    shop.clock.pass(100ms);
  }

  CheckedShop shop{with_three()};
  Clock::Time asked{};
};
using Said = std::optional<std::pair<uint64_t, uint64_t>>;

TEST_F(CheckedSince, WaitsForAllAndThenABackendThatIsSilentFails) {
  ask();
  shop.report("198.18.2.11:8080", true);
  shop.report("198.18.2.12:8080", false, "HTTP 503");
  shop.board.prober_spoke();
  EXPECT_EQ(says(false), Said());
  EXPECT_EQ(says(true), Said(std::pair(1, 3)));
  shop.report("198.18.2.14:8080", true);
  EXPECT_EQ(says(false), Said(std::pair(2, 3)));
}

TEST_F(CheckedSince, AProberThatHangsLeavesTheLastKnownHealth) {
  ask();
  EXPECT_EQ(says(false), Said());
  EXPECT_EQ(says(true), Said(std::pair(3, 3)));
  shop.clock.pass(200ms);
  EXPECT_EQ(says(false), Said(std::pair(3, 3))) << "300 ms without an acknowledgement";
  shop.board.prober_spoke();
  EXPECT_EQ(says(false), Said()) << "it lives: it may still check";
}

}  // namespace
}  // namespace teal
