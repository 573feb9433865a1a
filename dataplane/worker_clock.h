// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "dataplane/shm/tsc_clock.h"

namespace teal {

// The time of a worker's iteration: all packets of an iteration have the same time.
struct Time {
  uint64_t tsc = 0;   // for what is paced in less than a tick: the sweep, the rate of resets
  uint64_t tick = 0;  // for the timeouts of flows, which take the low 32 bits
};

// Turns a TSC value into a time. Once a second the clock is set by CLOCK_MONOTONIC: teald writes the times of
// flips by that clock, and the measured frequency of the TSC is some ppm off.
class WorkerClock {
 public:
  using ReadClocks = ClockReading (*)();

  explicit WorkerClock(uint64_t tsc_hz, ReadClocks read = read_clocks)
      : tsc_hz_(tsc_hz), read_(read), clock_(tsc_hz, read()) {}

  // `tsc` never goes back.
  Time at(uint64_t tsc) {
    if (tsc - anchored_at_tsc_ > tsc_hz_) {
      clock_.reanchor(read_());
      anchored_at_tsc_ = tsc;
    }
    return {tsc, clock_.ticks(tsc)};
  }

 private:
  const uint64_t tsc_hz_;
  const ReadClocks read_;
  TickClock clock_;
  uint64_t anchored_at_tsc_ = 0;
};

}  // namespace teal
