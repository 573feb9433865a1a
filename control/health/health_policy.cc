// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_policy.h"

#include <algorithm>

namespace teal {

namespace {

uint8_t held_back_of(const BackendHealth& known, std::chrono::milliseconds slow_start, Clock::Time now) {
  if (known.health == Health::kDown) return kDown;
  return known.rose_at ? ramp(*known.rose_at, slow_start, now) : 0;
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
  PoolWeight weight;
  for (const PoolMember& member : pool) {
    weight.all += member.weight;
    if (!board.is_down(member.id)) weight.up += member.weight;
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
    if (!service.config->check) continue;
    for (size_t colour = 0; colour < kColours; ++colour) {
      const std::vector<PoolMember>& pool = service.pools[colour];
      words.modes[service.id][colour] = pool_mode(weight_of(pool, board), service.config->health);
      for (const PoolMember& member : pool) {
        const BackendHealth* known = board.of(member.id);
        if (known == nullptr) continue;
        const uint8_t held_back = held_back_of(*known, service.config->health.slow_start, now);
        words.held_back[member.id] = held_back;
        words.is_ramping = words.is_ramping || (held_back != 0 && held_back != kDown);
      }
    }
  }
  return words;
}

}  // namespace teal
