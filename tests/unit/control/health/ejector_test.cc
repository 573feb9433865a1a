// SPDX-License-Identifier: Apache-2.0
#include "control/health/ejector.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "control/health/health_policy.h"
#include "tests/support/rounds.h"
#include "tests/unit/control/health/checked_shop.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

// The shop, whose backends fail and answer as a test says. Of service-a, 0 and 1 are blue, 2 is green.
class EjectorTest : public testing::Test {
 protected:
  explicit EjectorTest(Config config = checked_shop()) : shop(std::move(config)) { look(); }

  // Ten looks a second.
  bool look(Clock::Time::duration span = 0ms) {
    bool changed = step();
    for (Clock::Time::duration passed{}; passed < span; passed += 100ms) {
      shop.clock.pass(100ms);
      changed = step() || changed;
    }
    return changed;
  }
  bool step() {
    return shop.board.ejector().look(
        shop.catalogue, {.sums = [this](uint16_t backend) { return sums[backend]; },
                         .is_down = [this](uint16_t id) { return shop.board.is_down(id); },
                         .is_judged = [this](uint16_t service,
                                             Colour colour) { return judged == std::pair(service, colour); },
                         .lacks_room = lacks_room});
  }
  void fail(uint16_t backend, uint64_t flows = 5) { sums[backend].failures += flows; }
  void answer(uint16_t backend) { ++sums[backend].answers; }
  bool is_ejected(uint16_t backend) const { return shop.board.ejector().of(backend) != nullptr; }
  HealthWords words() const { return health_words(shop.catalogue, shop.board, shop.clock.now()); }
  EjectRules& rules() { return config_.services[0].health.eject; }

  CheckedShop shop;
  Config config_ = checked_shop();
  std::map<uint16_t, BackendSums> sums;
  std::optional<std::pair<uint16_t, Colour>> judged;
  bool lacks_room = false;
};

// A SYN flood leaves clients without room, and the backend answers a few clients.
TEST_F(EjectorTest, DuringAFloodOnlyTenSecondsWithoutAnAnswerEject) {
  lacks_room = true;
  for (int second = 0; second < 30; ++second) {
    if (second % 9 == 0) answer(0);
    fail(0, 1'000);
    look(1s);
    ASSERT_FALSE(is_ejected(0)) << second;
  }
  lacks_room = false;
  EXPECT_FALSE(look()) << "the flood's failures are forgotten";
  lacks_room = true;
  answer(0);
  look(10s);
  fail(0);
  EXPECT_TRUE(look());
}

TEST_F(EjectorTest, FiveFailuresSinceTheLastAnswerEject) {
  fail(0, 4);
  EXPECT_FALSE(look());
  EXPECT_EQ(shop.board.ejector().failures(0), 4u);
  fail(0, 1);
  EXPECT_TRUE(look());
  ASSERT_TRUE(is_ejected(0));
  EXPECT_EQ(shop.board.ejector().of(0)->until, shop.clock.now() + 30s);
  EXPECT_EQ(shop.board.why_out(0), "ejected: 5 failures since its last answer");
  const auto turns = shop.board.ejector().take_turns();
  ASSERT_EQ(turns.size(), 1u);
  EXPECT_EQ(turns[0].address, "198.18.2.11:8080");
  EXPECT_TRUE(turns[0].ejected);
}

TEST_F(EjectorTest, AnAnswerForgetsTheFailuresBeforeIt) {
  for (int i = 0; i < 10; ++i) {
    fail(0, 4);
    look();
    answer(0);
    look();
  }
  EXPECT_FALSE(is_ejected(0));
  fail(0, 100);
  answer(0);
  EXPECT_FALSE(look()) << "an answer of the same look: nobody knows which was first";
}

TEST_F(EjectorTest, FailuresBeforeTheFirstLookDoNotCount) {
  CheckedShop other;
  EXPECT_FALSE(
      other.board.ejector().look(other.catalogue, {.sums =
                                                       [](uint16_t) {
                                                         return BackendSums{1000, 0};
                                                       },
                                                   .is_down = [](uint16_t) { return false; },
                                                   .is_judged = [](uint16_t, Colour) { return false; }}));
}

TEST_F(EjectorTest, ComesBackAfterItsTimeAndIsEjectedForLongerTheNextTime) {
  for (uint32_t times = 1; times <= 12; ++times) {
    fail(0);
    ASSERT_TRUE(look());
    const auto lasts = std::min<Clock::Time::duration>(times * 30s, Ejector::kLongest);
    EXPECT_EQ(shop.board.ejector().of(0)->until - shop.clock.now(), lasts);
    EXPECT_EQ(shop.board.ejector().of(0)->times, times);
    fail(0, 3);  // flows that began before
    EXPECT_FALSE(look(lasts - 100ms));
    EXPECT_TRUE(look(100ms));
    EXPECT_FALSE(is_ejected(0));
    EXPECT_EQ(shop.board.ejector().failures(0), 0u);
  }
}

TEST_F(EjectorTest, TenSecondsWithoutAnEjectionForgiveOne) {
  const auto ejections_after = [&](Clock::Time::duration calm) {
    look(calm);
    fail(0);
    look();
    const uint32_t times = shop.board.ejector().of(0)->times;
    look(times * 30s);
    return times;
  };
  EXPECT_EQ(ejections_after(0s), 1u);
  EXPECT_EQ(ejections_after(0s), 2u);
  EXPECT_EQ(ejections_after(9900ms), 3u);
  EXPECT_EQ(ejections_after(20s), 2u) << "3 - 2 + 1";
  EXPECT_EQ(ejections_after(1min), 1u) << "all are forgiven, and no more than all";
}

TEST_F(EjectorTest, AtMostHalfOfAPoolsWeightIsEjected) {
  fail(0);
  fail(1);
  look();
  EXPECT_TRUE(is_ejected(0));
  EXPECT_FALSE(is_ejected(1)) << "half of blue is ejected already";
  fail(2);
  look(5s);
  EXPECT_FALSE(is_ejected(2)) << "a pool of one backend loses none";
}

TEST_F(EjectorTest, AColourThatIsJudgedIsJudgedForASecondFirst) {
  judged = std::pair<uint16_t, Colour>(0, Colour::kBlue);
  fail(0);
  EXPECT_FALSE(look(900ms));
  EXPECT_TRUE(look(100ms));
  judged = std::pair<uint16_t, Colour>(0, Colour::kGreen);
  look(31s);
  fail(0);
  EXPECT_TRUE(look()) << "the other colour is judged";
}

TEST_F(EjectorTest, ABackendThatIsDownByItsChecksIsNotEjectedToo) {
  shop.report("198.18.2.11:8080", false, "x");
  fail(0);
  EXPECT_FALSE(look(2s));
  EXPECT_EQ(shop.board.why_out(0), "down: x");
  shop.report("198.18.2.11:8080", true, "");
  EXPECT_FALSE(look(2s)) << "it is repaired, and has had no flow since";
  fail(0);
  EXPECT_TRUE(look());
}

TEST_F(EjectorTest, CountersThatBeginAgainAreNoFailures) {
  sums[0] = {.failures = 1000, .answers = 1000};
  look();
  sums[0] = {.failures = 50, .answers = 0};
  EXPECT_FALSE(look());
  fail(0);
  EXPECT_TRUE(look());
}

TEST_F(EjectorTest, TheRulesOfTheServiceCount) {
  rules() = {.failures = 2, .time = 1s, .max_share = 100};
  shop.catalogue.replace(config_, shop.catalogue.inventory());
  fail(0, 2);
  fail(1, 2);
  EXPECT_TRUE(look());
  EXPECT_TRUE(is_ejected(0) && is_ejected(1));
  EXPECT_EQ(words().held_back[0], kTakesAll) << "ejections alone never empty a pool";
  EXPECT_EQ(words().modes[0][0], PoolMode::kNormal);
  rules().is_on = false;
  shop.catalogue.replace(config_, shop.catalogue.inventory());
  EXPECT_TRUE(look());
  EXPECT_FALSE(is_ejected(0) || is_ejected(1));
  fail(0, 100);
  EXPECT_FALSE(look(5s));
}

TEST_F(EjectorTest, UdpIsNeverEjected) {
  for (auto& service : config_.services) service.vip.protocol = kProtocolUdp;
  shop.catalogue.replace(config_, shop.catalogue.inventory());
  fail(0, 100);
  EXPECT_FALSE(look(5s));
}

TEST_F(EjectorTest, ABackendThatLeavesTheConfigIsForgotten) {
  fail(0);
  look();
  ASSERT_TRUE(is_ejected(0));
  config_.services[0].pools[0].erase(config_.services[0].pools[0].begin());
  shop.catalogue.replace(config_, renumber(shop.catalogue.inventory(), config_)->inventory);
  look();
  EXPECT_FALSE(is_ejected(0));
}

// --- what the workers see ---

TEST_F(EjectorTest, AnEjectedBackendTakesNoNewFlowsAndKeepsItsFlows) {
  fail(0);
  look();
  EXPECT_EQ(words().held_back[0], kDown);
  EXPECT_EQ(words().modes[0][0], PoolMode::kNormal);
  EXPECT_EQ(weight_of(shop.catalogue.services()[0].pools[0], shop.board).up, 1u);
  config_.services[0].health.on_down = HealthRules::OnDown::kReset;
  shop.catalogue.replace(config_, shop.catalogue.inventory());
  EXPECT_EQ(words().held_back[0], kDown - 1) << "kDown would reset its flows";
  EXPECT_FALSE(words().is_ramping);
}

TEST_F(EjectorTest, EjectedBackendsServeIfAllOthersAreDown) {
  config_.services[0].health.empty = HealthRules::Empty::kReject;
  shop.catalogue.replace(config_, shop.catalogue.inventory());
  fail(0);
  look();
  shop.report("198.18.2.12:8080", false, "x");
  EXPECT_EQ(words().held_back[0], kTakesAll);
  EXPECT_EQ(words().held_back[1], kDown);
  EXPECT_EQ(words().modes[0][0], PoolMode::kNormal);
}

TEST_F(EjectorTest, SlowStartAlsoFollowsAnEjection) {
  config_.services[0].health.slow_start = 10s;
  shop.catalogue.replace(config_, shop.catalogue.inventory());
  fail(0);
  look(30s);
  EXPECT_EQ(words().held_back[0], kDown - 1);
  EXPECT_TRUE(words().is_ramping);
  look(10s);
  EXPECT_EQ(words().held_back[0], kTakesAll);
}

// --- against the plainest version ---

// Keeps everything that ever happened to one backend, and derives the state from it at each look.
class PlainEjector {
 public:
  bool look(BackendSums sums, Clock::Time now, const EjectRules& rules) {
    if (looks_.empty()) base_ = sums.failures;
    if (!looks_.empty() && looks_.back().answers != sums.answers) base_ = sums.failures;
    looks_.push_back(sums);
    if (!ejections_.empty() && now < ejections_.back().end) return true;
    if (!ejections_.empty() && !is_back_) {
      is_back_ = true;
      base_ = sums.failures;
      return false;
    }
    if (sums.failures - base_ < rules.failures) return false;
    const auto lasts = std::min<Clock::Time::duration>(times_at(now) * rules.time, Ejector::kLongest);
    ejections_.push_back({now, now + lasts});
    is_back_ = false;
    return true;
  }

 private:
  struct Span {
    Clock::Time begin, end;
  };
  int64_t times_at(Clock::Time now) const {
    int64_t times = 0;
    for (size_t i = 0; i < ejections_.size(); ++i) {
      const Clock::Time next = i + 1 < ejections_.size() ? ejections_[i + 1].begin : now;
      times = std::max<int64_t>(times + 1 - (next - ejections_[i].end) / Ejector::kForgiveEvery, 0);
    }
    return times + 1;
  }

  std::vector<BackendSums> looks_;
  std::vector<Span> ejections_;
  uint64_t base_ = 0;
  bool is_back_ = true;
};

TEST_F(EjectorTest, IsAsThePlainestVersionSaysInRandomSequences) {
  for (int seed = 0; seed < test::rounds(20); ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    rules() = {.failures = static_cast<uint32_t>(1 + random() % 8),
               .time = 100ms * (1 + random() % 50),
               .max_share = 100};
    CheckedShop fresh(config_);
    std::map<uint16_t, PlainEjector> plain;
    sums.clear();
    for (int i = 0; i < 3000; ++i) {
      const uint32_t calm = 1 + random() % 40;  // rare failures, and many
      for (uint16_t id = 0; id < 2; ++id) {
        if (random() % calm == 0) sums[id].failures += random() % 4;
        if (random() % 8 == 0) sums[id].answers += random() % 2;
      }
      fresh.board.ejector().look(fresh.catalogue, {.sums = [this](uint16_t backend) { return sums[backend]; },
                                                   .is_down = [](uint16_t) { return false; },
                                                   .is_judged = [](uint16_t, Colour) { return false; }});
      for (uint16_t id = 0; id < 2; ++id)
        ASSERT_EQ(fresh.board.ejector().of(id) != nullptr,
                  plain[id].look(sums[id], fresh.clock.now(), rules()))
            << "seed " << seed << ", look " << i << ", backend " << id;
      fresh.clock.pass(100ms);
    }
  }
}

TEST_F(EjectorTest, NeverEjectsMoreThanTheShareInRandomSequences) {
  for (int seed = 0; seed < test::rounds(20); ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    Config config = checked_shop();
    config.services[0].pools[0] = pool(
        {"198.18.2.11:8080", "198.18.2.12:8080", "198.18.2.14:8080", "198.18.2.15:8080", "198.18.2.16:8080"});
    for (BackendConfig& backend : config.services[0].pools[0]) backend.weight = 1 + random() % 9;
    config.services[0].health.eject = {.time = 500ms, .max_share = static_cast<uint32_t>(random() % 101)};
    CheckedShop fresh(config);
    sums.clear();
    for (int i = 0; i < 2000; ++i) {
      for (uint16_t id = 0; id < 8; ++id) sums[id].failures += random() % 3;
      if (random() % 50 == 0) fresh.report("198.18.2.14:8080", random() % 2 == 0, "x");
      fresh.board.ejector().look(fresh.catalogue,
                                 {.sums = [this](uint16_t backend) { return sums[backend]; },
                                  .is_down = [&](uint16_t id) { return fresh.board.is_down(id); },
                                  .is_judged = [](uint16_t, Colour) { return false; }});
      uint64_t all = 0, ejected = 0;
      for (const PoolMember& member : fresh.catalogue.services()[0].pools[0]) {
        all += member.weight;
        if (fresh.board.ejector().of(member.id) != nullptr) ejected += member.weight;
      }
      ASSERT_LE(ejected * 100, all * config.services[0].health.eject.max_share);
      fresh.clock.pass(100ms);
    }
  }
}

}  // namespace
}  // namespace teal
