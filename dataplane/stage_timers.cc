// SPDX-License-Identifier: Apache-2.0
#include "dataplane/stage_timers.h"

#ifdef TEAL_STAGE_TIMERS
#include <spdlog/spdlog.h>

namespace teal {

void StageTimers::tell(uint32_t worker) const {
  constexpr std::array kNames = {
#define X(name) #name,
      TEAL_STAGES(X)
#undef X
  };
  for (size_t stage = 0; stage < kNames.size() && packets_ != 0; ++stage)
    spdlog::info("worker {}: {:10} {:6.1f} cycles a packet", worker, kNames[stage],
                 static_cast<double>(cycles_[stage]) / static_cast<double>(packets_));
}

}  // namespace teal
#endif
