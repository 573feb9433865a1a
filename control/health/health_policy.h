// SPDX-License-Identifier: Apache-2.0
//
// Computes the words of health that teald writes into the segment for the workers. This is a pure function of
// the catalogue, the board and the time.
//
//   held_back  by backend. 0: takes its whole part of new flows. 255: is down and takes none. Between them:
//              came back a moment ago, and takes (255 - n)/255 of its part. The part grows evenly over
//              slow_start. An ejected backend has 255, too, or 254 where on_down = "reset": its flows stay.
//   mode       by service and colour:
//                normal     backends that are down take no new flows
//                all serve  too little of the pool's weight is up: each backend serves as if it were up
//                reject     no backend is up, and the config has empty = "reject"
//
// The weight of a pool is the sum of the weights in force, so a backend in drain or maint does not count. A
// backend that is unchecked, or has no check, counts as up. A pool without weight is normal: nothing can
// serve.
//
// An ejected backend counts as one that is not up. But ejections alone never empty a pool: if no other one
// is up, those that are ejected and not down serve.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "control/health/health_board.h"
#include "dataplane/shm/health.h"

namespace teal {

inline constexpr const char* kPoolModeNames[] = {"normal", "all_serve", "reject"};  // by PoolMode

struct HealthWords {
  std::vector<uint8_t> held_back = std::vector<uint8_t>(kMaxBackends);  // by backend id
  std::vector<std::array<PoolMode, kColours>> modes =
      std::vector<std::array<PoolMode, kColours>>(kMaxServices);  // by service id
  bool is_ramping = false;  // a slow start is under way: the words change with time

  friend bool operator==(const HealthWords&, const HealthWords&) = default;
};

HealthWords health_words(const Catalogue& catalogue, const HealthBoard& board, Clock::Time now);

// Returns the part of the pool's weight that is up and not ejected.
struct PoolWeight {
  uint64_t up = 0, all = 0;
};
PoolWeight weight_of(const std::vector<PoolMember>& pool, const HealthBoard& board);
// Returns the weight of these backends, and the part of it that passed its checks since `asked`. Each backend
// has a check. Returns nothing if some checks have not ended yet. Once the time is over, a backend whose
// check has not ended fails. But if the prober has said nothing since, the last known health counts.
std::optional<PoolWeight> checked_since(const std::vector<PoolMember>& checked, const HealthBoard& board,
                                        Clock::Time asked, bool is_over);
PoolMode pool_mode(const PoolWeight& weight, const HealthRules& rules);

// Returns the word of a backend that is up: 0, or 1 to 254 within `slow_start` after it rose.
uint8_t ramp(Clock::Time rose_at, std::chrono::milliseconds slow_start, Clock::Time now);

}  // namespace teal
