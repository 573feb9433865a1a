// SPDX-License-Identifier: Apache-2.0
#include "dataplane/stage_timers.h"

#ifdef TEAL_STAGE_TIMERS
#include <numeric>

#include <spdlog/spdlog.h>

namespace teal {

void StageTimers::tell(uint32_t worker, uint64_t tsc_hz) const {
  constexpr std::array kNames = {
#define X(name) #name,
      TEAL_STAGES(X)
#undef X
  };
  if (packets_ == 0) return;
  for (size_t stage = 0; stage < kNames.size(); ++stage)
    spdlog::info("worker {}: {:10} {:6.1f} cycles a packet", worker, kNames[stage],
                 static_cast<double>(cycles_[stage]) / static_cast<double>(packets_));
  spdlog::info("worker {}: packets stay {:.2f} us (median), {:.2f} (p99), {:.2f} (p99.9), {:.2f} (most)",
               worker, stay_us(0.5, tsc_hz), stay_us(0.99, tsc_hz), stay_us(0.999, tsc_hz),
               stay_us(1, tsc_hz));
}

double StageTimers::stay_us(double share, uint64_t tsc_hz) const {
  const uint64_t all = std::accumulate(stays_.begin(), stays_.end(), uint64_t{0});
  const auto wanted = static_cast<uint64_t>(share * static_cast<double>(all));
  uint64_t seen = 0;
  uint32_t row = 0;
  while (row + 1 < stays_.size() && (seen += stays_[row]) < wanted) ++row;
  return static_cast<double>(end_of(row)) * 1e6 / static_cast<double>(tsc_hz);
}

}  // namespace teal
#endif
