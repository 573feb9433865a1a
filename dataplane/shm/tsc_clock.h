// SPDX-License-Identifier: Apache-2.0
//
// Time from the TSC, without a system call. The TSC is constant and comparable between processes (facts of
// the hardware asked for); its frequency is measured against CLOCK_MONOTONIC, as rte_get_tsc_hz() was found
// 0.2 % off.
#pragma once

#include <cstdint>

#include "dataplane/packet/flow_key.h"

namespace teal {

// Takes about 20 ms. Good to some parts per million.
uint64_t measure_tsc_hz();

// CLOCK_MONOTONIC in ticks of kTickNs, never 0. A system call, or nearly: workers have a TickClock.
uint32_t now_ticks();

// The TSC and CLOCK_MONOTONIC at one moment.
struct ClockReading {
  uint64_t tsc = 0;
  uint64_t monotonic_ns = 0;
};
ClockReading read_clocks();

// Coarse time (ruleset.h: kTickNs) for a worker that has read the TSC anyway: the same ticks as now_ticks(),
// never 0, never backwards. The measured frequency is some ppm off, and CLOCK_MONOTONIC is slewed by up to
// 500 ppm. So reanchor() is called now and then: once a second keeps the ticks within 0.5 ms of
// CLOCK_MONOTONIC. Not thread-safe: each worker has its own. The clock itself reads no time.
class TickClock {
 public:
  TickClock(uint64_t tsc_hz, const ClockReading& now);

  // The tick at a TSC value that was read since the last reanchor(). An earlier value counts as that moment.
  uint32_t ticks(uint64_t tsc) const {
    const auto since = static_cast<int64_t>(tsc - anchor_tsc_);
    const uint64_t passed =
        since <= 0 ? 0
                   : static_cast<uint64_t>(
                         (static_cast<Uint128>(static_cast<uint64_t>(since)) * ticks_per_tsc_) >> 64);
    return not_zero(anchor_ticks_ + passed < floor_ ? floor_ : anchor_ticks_ + passed);
  }

  void reanchor(const ClockReading& now);

 private:
  static uint32_t not_zero(uint64_t ticks) {
    const auto low = static_cast<uint32_t>(ticks);
    return low == 0 ? 1 : low;
  }

  uint64_t tsc_hz_;
  uint64_t ticks_per_tsc_;     // times 2^64
  uint64_t anchor_tsc_ = 0;    // when anchor_ticks_ began
  uint64_t anchor_ticks_ = 0;  // 64 bits: CLOCK_MONOTONIC / kTickNs
  uint64_t floor_ = 0;         // what the former anchor had come to
};

}  // namespace teal
