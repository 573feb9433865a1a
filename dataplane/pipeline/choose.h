// SPDX-License-Identifier: Apache-2.0
//
// Where a new flow goes: a pure function of (target, hash). The colour follows from the low 32 bits by share,
// the backend from the high 32 bits by the colour's Maglev table, so a share picks no special backends.
#pragma once

#include <cstdint>

#include "dataplane/shm/ruleset.h"

namespace teal {

inline Colour choose_colour(const TrafficSplit& split, uint64_t choice) {
  return scale(choice << 32, kShareOne) < split.other_share ? other(split.active) : split.active;
}

// kNoId where the pool has no backend that takes new flows.
inline uint16_t choose_backend(const Ruleset& ruleset, const ServiceRule& service, Colour colour,
                               uint64_t choice) {
  const MaglevTable& pool = service.pools[static_cast<int>(colour)];
  return pool.size == 0 ? kNoId : ruleset.maglev[pool.offset + scale(choice, pool.size)];
}

}  // namespace teal
