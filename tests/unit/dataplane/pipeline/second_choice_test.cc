// SPDX-License-Identifier: Apache-2.0
//
// The choice of a backend where some are held back: against the plainest version, and how many clients it
// moves.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>

#include "control/kernel/backend_words.h"
#include "control/publish/ruleset_builder.h"
#include "dataplane/pipeline/choose.h"
#include "tests/support/rounds.h"

namespace teal {
namespace {

using test::rounds;

constexpr uint16_t kService = 3;
constexpr Colour kColour = Colour::kGreen;
constexpr uint32_t kClients = 100'000;

class SecondChoice : public testing::Test {
 protected:
  // Backend i has weights[i]; weight 0 takes no new flows.
  void build(const std::vector<uint32_t>& weights) {
    RulesetInput input;
    Socket vip = parse_socket("198.18.0.10:80").value();
    vip.protocol = kProtocolTcp;
    input.services.push_back({.id = kService, .name = "web", .vip = vip});
    for (uint16_t id = 0; id < weights.size(); ++id) {
      NumberedBackend backend{.id = id, .service = kService};
      backend.socket = parse_socket("198.18.2.1:" + std::to_string(8000 + id)).value();
      backend.socket.protocol = kProtocolTcp;
      backend.weights[static_cast<int>(kColour)] = weights[id];
      input.backends.push_back(backend);
    }
    ASSERT_TRUE(build_ruleset(input, *ruleset_));
    for (auto& word : header_->held_back) word.store(kTakesAll);
    for (auto& modes : header_->pool_mode) modes[static_cast<int>(kColour)].store(PoolMode::kNormal);
  }

  void hold_back(uint16_t backend, uint8_t n) { BackendWords(*header_).set_held_back(backend, n); }
  void set_mode(PoolMode mode) { BackendWords(*header_).set_mode(kService, kColour, mode); }

  BackendChoice choose(uint64_t choice) const {
    return choose_backend(*header_, *ruleset_, kService, kColour, choice);
  }
  static uint64_t choice_of_client(uint32_t number) { return mix(number + kMixA, kMixC); }

  std::vector<uint16_t> backends_of_all_clients() const {
    std::vector<uint16_t> backends;
    for (uint32_t i = 0; i < kClients; ++i) backends.push_back(choose(choice_of_client(i)).backend);
    return backends;
  }

  // The plainest version takes all rows in the flow's order, keeps the backends that take the flow, and
  // returns the first.
  BackendChoice plain_choose(uint64_t choice) const {
    const MaglevTable& pool = ruleset_->services[kService].pools[static_cast<int>(kColour)];
    if (pool.size == 0) return {kNoId, ChosenAs::kFirst};
    std::vector<uint16_t> rows;
    for (uint64_t i = 0; i < pool.size; ++i)
      rows.push_back(
          ruleset_->maglev[pool.offset +
                           (scale(choice, pool.size) + i * stride_of(choice, pool.size)) % pool.size]);
    const auto held_back = [&](uint16_t backend) { return header_->held_back[backend].load(); };
    const uint16_t first = rows.front();
    if (held_back(first) == 0) return {first, ChosenAs::kFirst};
    const PoolMode mode = header_->pool_mode[kService][static_cast<int>(kColour)];
    if (mode == PoolMode::kAllServe) return {first, ChosenAs::kHeldBack};
    if (mode == PoolMode::kReject) return {first, ChosenAs::kRejected};
    std::vector<uint16_t> taking, starting;
    for (const uint16_t backend : rows) {
      if (takes(held_back(backend), backend, choice)) taking.push_back(backend);
      if (held_back(backend) != kDown) starting.push_back(backend);
    }
    if (taking.empty()) taking = starting;
    if (taking.empty()) return {first, ChosenAs::kHeldBack};
    return {taking.front(), taking.front() == first ? ChosenAs::kFirst : ChosenAs::kSecond};
  }

  std::unique_ptr<Ruleset> ruleset_ = std::make_unique<Ruleset>();
  std::unique_ptr<SegmentHeader> header_ = std::make_unique<SegmentHeader>();
};

TEST_F(SecondChoice, IsThatOfThePlainestVersionOnRandomPools) {
  std::mt19937_64 random(15);
  std::map<ChosenAs, uint32_t> seen;
  for (int round = 0; round < rounds(300); ++round) {
    std::vector<uint32_t> weights(random() % 8);
    for (uint32_t& weight : weights) weight = static_cast<uint32_t>(random() % 4);
    build(weights);
    set_mode(static_cast<PoolMode>(random() % 8 == 0 ? random() % 3 : 0));
    for (uint16_t id = 0; id < weights.size(); ++id) {
      const uint64_t kind = random() % 3;
      hold_back(id, kind == 0 ? kTakesAll : kind == 1 ? kDown : static_cast<uint8_t>(random()));
    }
    for (int i = 0; i < 200; ++i) {
      const uint64_t choice = random();
      const BackendChoice is = choose(choice), expected = plain_choose(choice);
      ASSERT_EQ(is.backend, expected.backend);
      ASSERT_EQ(is.as, expected.as);
      ++seen[is.as];
    }
  }
  EXPECT_EQ(seen.size(), 4u) << "each way of choosing came up";
}

// 100,000 clients of 10 backends. A table built without the backend would move clients of other backends,
// too.
TEST_F(SecondChoice, OneOfTenBackendsDownMovesItsTenPercentOfTheClientsAndNoneOfTheOthers) {
  build(std::vector<uint32_t>(10, 1));
  const std::vector<uint16_t> before = backends_of_all_clients();
  hold_back(4, kDown);
  const std::vector<uint16_t> after = backends_of_all_clients();
  uint32_t moved = 0, moved_of_others = 0;
  for (uint32_t i = 0; i < kClients; ++i) {
    EXPECT_NE(after[i], 4);
    moved += before[i] != after[i];
    moved_of_others += before[i] != after[i] && before[i] != 4;
  }
  EXPECT_EQ(moved_of_others, 0u);
  EXPECT_NEAR(moved, kClients / 10.0, kClients * 0.005);
  hold_back(4, kTakesAll);
  EXPECT_EQ(backends_of_all_clients(), before) << "and they come back";
}

// Seven backends have weights 1 to 7, and three of weight 4 are down: 30 % of the clients move. The next row
// of the table in place of a stride of the flow gave a backend 2.2 % too few.
TEST_F(SecondChoice, SpreadsTheClientsByWeightWithinHalfAPercentOfAll) {
  build({1, 2, 3, 4, 5, 6, 7, 4, 4, 4});
  for (const uint16_t backend : {7, 8, 9}) hold_back(backend, kDown);
  std::vector<uint32_t> clients(10);
  for (const uint16_t backend : backends_of_all_clients()) ++clients[backend];
  for (uint16_t id = 0; id < 7; ++id)
    EXPECT_NEAR(clients[id], kClients * (id + 1) / 28.0, kClients * 0.005) << "backend " << id;
}

TEST_F(SecondChoice, SlowStartTakesItsPartAndNeverSendsAClientBack) {
  build({1, 1, 1, 1});
  const std::vector<uint16_t> up = backends_of_all_clients();
  hold_back(2, kDown);
  std::vector<uint16_t> before = backends_of_all_clients();
  const auto full = static_cast<double>(std::ranges::count(up, 2));
  for (const int n : {254, 204, 128, 51, 0}) {
    hold_back(2, static_cast<uint8_t>(n));
    const std::vector<uint16_t> now = backends_of_all_clients();
    for (uint32_t i = 0; i < kClients; ++i)
      ASSERT_TRUE(now[i] == before[i] || now[i] == 2)
          << "a client moves to the backend that starts, or stays";
    const double part = (255 - n) / 255.0;
    const auto taken = static_cast<double>(std::ranges::count(now, 2));
    EXPECT_NEAR(taken, full * part, 5 * std::sqrt(full * part * (1 - part)) + 1) << "at " << n;
    before = now;
  }
  EXPECT_EQ(before, up);
}

TEST_F(SecondChoice, ABackendInSlowStartGoesBeforeOneThatIsDown) {
  build({1, 1});
  hold_back(0, kDown);
  hold_back(1, 254);
  for (const uint16_t backend : backends_of_all_clients()) ASSERT_EQ(backend, 1);
}

TEST_F(SecondChoice, IsTheFirstOneAgainWhereNoBackendIsUp) {
  build({1, 1, 1});
  const std::vector<uint16_t> up = backends_of_all_clients();
  for (const uint16_t backend : {0, 1, 2}) hold_back(backend, kDown);
  EXPECT_EQ(backends_of_all_clients(), up);
  EXPECT_EQ(choose(choice_of_client(1)).as, ChosenAs::kHeldBack);
  set_mode(PoolMode::kAllServe);
  EXPECT_EQ(backends_of_all_clients(), up);
  set_mode(PoolMode::kReject);
  EXPECT_EQ(choose(choice_of_client(1)).as, ChosenAs::kRejected);
}

}  // namespace
}  // namespace teal
