// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_policy.h"

#include <algorithm>

namespace teal {

namespace {

std::optional<Clock::Time> latest_of(std::optional<Clock::Time> a, std::optional<Clock::Time> b) {
  return a && b ? std::max(a, b) : a ? a : b;
}

// A backend that is ejected does not lose its flows: on_down = "reset" is about backends that are down, and
// the workers reset the flows of each backend with kDown.
uint8_t held_back_of(const HealthBoard& board, uint16_t backend, const HealthRules& rules, bool is_spared,
                     Clock::Time now) {
  if (board.is_down(backend)) return kDown;
  if (board.ejector().of(backend) != nullptr && !is_spared)
    return rules.on_down == HealthRules::OnDown::kReset ? kDown - 1 : kDown;
  const BackendHealth* known = board.of(backend);
  const std::optional<Clock::Time> checked = known == nullptr ? std::nullopt : known->rose_at;
  const std::optional<Clock::Time> rose_at = latest_of(checked, board.ejector().rose_at(backend));
  return rose_at ? ramp(*rose_at, rules.slow_start, now) : 0;
}

template <typename IsUp>
PoolWeight weight_where(const std::vector<PoolMember>& pool, const IsUp& is_up) {
  PoolWeight weight;
  for (const PoolMember& member : pool) {
    weight.all += member.weight;
    if (is_up(member.id)) weight.up += member.weight;
  }
  return weight;
}

}  // namespace

uint8_t ramp(Clock::Time rose_at, std::chrono::milliseconds slow_start, Clock::Time now) {
  const auto passed = std::max(now - rose_at, Clock::Time::duration(0));
  if (passed >= slow_start) return 0;
  const double left = 1.0 - std::chrono::duration<double>(passed) / std::chrono::duration<double>(slow_start);
  constexpr double kMost = kDown - 1;
  return static_cast<uint8_t>(std::clamp(left * kDown, 1.0, kMost));
}

PoolWeight weight_of(const std::vector<PoolMember>& pool, const HealthBoard& board) {
  const PoolWeight weight = weight_where(pool, [&](uint16_t backend) { return !board.is_out(backend); });
  if (weight.up != 0) return weight;
  // Ejections alone never empty a pool.
  return weight_where(pool, [&](uint16_t backend) { return !board.is_down(backend); });
}

std::optional<PoolWeight> checked_since(const std::vector<PoolMember>& checked, const HealthBoard& board,
                                        Clock::Time asked, bool is_over) {
  PoolWeight weight;
  const bool waits = !is_over && !board.ignores_order_of(asked);
  for (const PoolMember& member : checked) {
    const BackendHealth& known = *board.of(member.id);
    const bool has_ended = known.heard_at >= asked && known.passed;
    if (!has_ended && waits) return std::nullopt;
    const bool is_good =
        has_ended ? *known.passed : !board.has_heard_since(asked) && known.health != Health::kDown;
    weight.all += member.weight;
    if (is_good) weight.up += member.weight;
  }
  return weight;
}

PoolMode pool_mode(const PoolWeight& weight, const HealthRules& rules) {
  if (weight.up == weight.all) return PoolMode::kNormal;
  if (weight.up == 0)
    return rules.empty == HealthRules::Empty::kReject ? PoolMode::kReject : PoolMode::kAllServe;
  return weight.up * 100 < weight.all * rules.panic ? PoolMode::kAllServe : PoolMode::kNormal;
}

HealthWords health_words(const Catalogue& catalogue, const HealthBoard& board, Clock::Time now) {
  HealthWords words;
  for (const CatalogueService& service : catalogue.services()) {
    std::vector<uint16_t> spared;  // ejected backends that serve all the same
    for (size_t colour = 0; colour < kColours; ++colour) {
      const std::vector<PoolMember>& pool = service.pools[colour];
      const PoolWeight weight = weight_of(pool, board);
      words.modes[service.id][colour] = pool_mode(weight, service.config->health);
      const bool is_emptied = std::all_of(pool.begin(), pool.end(), [&](const PoolMember& member) {
        return member.weight == 0 || board.is_out(member.id);
      });
      if (is_emptied && weight.all != 0)
        for (const PoolMember& member : pool) spared.push_back(member.id);
    }
    for (const std::vector<PoolMember>& pool : service.pools) {
      for (const PoolMember& member : pool) {
        const bool is_spared = std::find(spared.begin(), spared.end(), member.id) != spared.end();
        const uint8_t held_back = held_back_of(board, member.id, service.config->health, is_spared, now);
        words.held_back[member.id] = held_back;
        const bool is_ejected = board.ejector().of(member.id) != nullptr;
        words.is_ramping = words.is_ramping || (held_back != 0 && held_back != kDown && !is_ejected);
      }
    }
  }
  return words;
}

}  // namespace teal
