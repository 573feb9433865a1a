// SPDX-License-Identifier: Apache-2.0
//
// These clocks read the TSC, without a system call. Teal requires hardware whose TSC has a constant rate and
// is the same on all cores. The frequency is measured against CLOCK_MONOTONIC, as rte_get_tsc_hz() was found
// to be 0.2 % off.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/packet/flow_key.h"

namespace teal {

// Measures the frequency of the TSC. Takes about 20 ms; the error is a few parts per million.
uint64_t measure_tsc_hz();

// Returns CLOCK_MONOTONIC in ticks of kTickNs, never 0. It may be a system call, so workers use a TickClock.
uint64_t now_ticks();

// Holds the TSC and CLOCK_MONOTONIC of the same moment.
struct ClockReading {
  uint64_t tsc = 0;
  uint64_t monotonic_ns = 0;
};
ClockReading read_clocks();

// Converts TSC values to the ticks of now_ticks(). The result is never 0 and never goes backwards. The class
// reads no clock itself.
//
// The measured frequency is a few ppm off, and CLOCK_MONOTONIC is slewed by up to 500 ppm. So the owner calls
// reanchor() regularly. Once a second keeps the ticks within 0.5 ms of CLOCK_MONOTONIC.
//
// Thread safety: each thread has its own TickClock.
class TickClock {
 public:
  TickClock(uint64_t tsc_hz, const ClockReading& now);

  // Returns the tick of a TSC value that was read after the last reanchor(). An older value gives the tick of
  // that reanchor().
  uint64_t ticks(uint64_t tsc) const {
    const auto since = static_cast<int64_t>(tsc - anchor_tsc_);
    const uint64_t passed =
        since <= 0 ? 0
                   : static_cast<uint64_t>(
                         (static_cast<Uint128>(static_cast<uint64_t>(since)) * ticks_per_tsc_) >> 64);
    return std::max({anchor_ticks_ + passed, floor_, uint64_t{1}});
  }

  // Takes `now` as the new reference.
  void reanchor(const ClockReading& now);

 private:
  uint64_t tsc_hz_;
  uint64_t ticks_per_tsc_;     // times 2^64
  uint64_t anchor_tsc_ = 0;    // the TSC at the start of tick anchor_ticks_
  uint64_t anchor_ticks_ = 0;  // CLOCK_MONOTONIC / kTickNs, in 64 bits
  uint64_t floor_ = 0;         // the last tick by the former anchor: the clock never returns less
};

}  // namespace teal
