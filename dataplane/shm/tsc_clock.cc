// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/tsc_clock.h"

#include <algorithm>

#include "dataplane/shm/ruleset.h"

#include <time.h>
#include <x86intrin.h>

namespace teal {
namespace {

uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

// Keeps the fastest of several readings, as an interrupt or a preemption between the two clocks makes a
// reading inaccurate.
ClockReading read_clocks() {
  ClockReading best;
  uint64_t least = ~uint64_t{0};
  for (int tries = 0; tries < 8; ++tries) {
    const uint64_t before = __rdtsc();
    const uint64_t ns = monotonic_ns();
    const uint64_t took = __rdtsc() - before;
    if (took >= least) continue;
    least = took;
    best = {before + took / 2, ns};
  }
  return best;
}

uint64_t measure_tsc_hz() {
  const ClockReading start = read_clocks();
  const timespec pause{.tv_sec = 0, .tv_nsec = 20'000'000};
  nanosleep(&pause, nullptr);
  const ClockReading end = read_clocks();
  return static_cast<uint64_t>(static_cast<Uint128>(end.tsc - start.tsc) * 1'000'000'000 /
                               (end.monotonic_ns - start.monotonic_ns));
}

uint64_t now_ticks() {
  return std::max<uint64_t>(monotonic_ns() / kTickNs, 1);
}

TickClock::TickClock(uint64_t tsc_hz, const ClockReading& now)
    : tsc_hz_(tsc_hz),
      ticks_per_tsc_(static_cast<uint64_t>((static_cast<Uint128>(1'000'000'000 / kTickNs) << 64) / tsc_hz)) {
  reanchor(now);
}

void TickClock::reanchor(const ClockReading& now) {
  const uint64_t ticks = now.monotonic_ns / kTickNs;
  const uint64_t into_tick_ns = now.monotonic_ns % kTickNs;
  if (anchor_ticks_ != 0) {
    const uint64_t since = now.tsc - anchor_tsc_;
    floor_ = std::max(
        floor_, anchor_ticks_ + static_cast<uint64_t>((static_cast<Uint128>(since) * ticks_per_tsc_) >> 64));
  }
  anchor_ticks_ = ticks;
  anchor_tsc_ = now.tsc - static_cast<uint64_t>(static_cast<Uint128>(into_tick_ns) * tsc_hz_ / 1'000'000'000);
}

}  // namespace teal
