// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/choose.h"

namespace teal {

// The search passes each row once at most. teald sets the pool's mode when all of its backends are held back,
// so long searches are rare. Where no backend takes the flow, one in slow start goes before one that is down.
BackendChoice choose_again(const SegmentHeader& header, const Ruleset& ruleset, uint16_t service,
                           Colour colour, uint64_t choice) {
  const MaglevTable& pool = ruleset.services[service].pools[static_cast<int>(colour)];
  const uint16_t* rows = ruleset.maglev + pool.offset;
  const uint32_t first_row = scale(choice, pool.size);
  const uint16_t first = rows[first_row];
  // Relaxed: each word is complete by itself (health.h).
  const PoolMode mode = header.pool_mode[service][static_cast<int>(colour)].load(std::memory_order_relaxed);
  if (mode == PoolMode::kAllServe) return {first, ChosenAs::kHeldBack};
  if (mode == PoolMode::kReject) return {first, ChosenAs::kRejected};

  uint16_t in_slow_start = kNoId;
  const uint32_t stride = stride_of(choice, pool.size);
  uint32_t row = first_row;
  do {
    const uint16_t backend = rows[row];
    const uint8_t held_back = header.held_back[backend].load(std::memory_order_relaxed);
    if (takes(held_back, backend, choice))
      return {backend, backend == first ? ChosenAs::kFirst : ChosenAs::kSecond};
    if (held_back != kDown && in_slow_start == kNoId) in_slow_start = backend;
    row += stride;
    if (row >= pool.size) row -= pool.size;
  } while (row != first_row);
  if (in_slow_start == kNoId) return {first, ChosenAs::kHeldBack};
  return {in_slow_start, in_slow_start == first ? ChosenAs::kFirst : ChosenAs::kSecond};
}

}  // namespace teal
