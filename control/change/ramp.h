// SPDX-License-Identifier: Apache-2.0
//
// The life of a ramp after its begin (rollout.h): its steps follow each other by time, and an operator pauses
// the ramp and resumes it.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <tl/expected.hpp>

#include "control/change/change.h"
#include "control/change/rollout.h"
#include "control/loop/clock.h"
#include "control/state/catalogue.h"

namespace teal {

// Plans to pause ramps, or to resume them. A service without a ramp stays unchanged.
tl::expected<Change, Refusal> plan_pause(const Selection& what, const std::string& reason,
                                         const RolloutView& view, const Catalogue& catalogue);
tl::expected<Change, Refusal> plan_resume(const Selection& what, const RolloutView& view,
                                          const Catalogue& catalogue);

// Measures the time of each ramp's present step. The time is not kept on disk: after a restart of teald, or
// after a pause, a step has its whole time again, and a jump of the wall clock does not move it.
class RampTimers {
 public:
  // Returns the names of the services whose step is over, for each ramp by itself; those of a group's ramp
  // are over at the same time. A step's time counts from the first call that sees it.
  std::vector<std::vector<std::string>> due(const Catalogue& catalogue, Clock::Time now);
  // To be called while ramps must not go on: their steps have their whole time again afterwards.
  void begin_again() { steps_.clear(); }
  // Returns the time until the next step; nothing: it does not come by itself.
  std::optional<Clock::Time::duration> left(const ServiceState& service, Clock::Time now) const;

 private:
  struct Step {
    uint64_t ramp = 0;  // id
    uint32_t step = 0;
    Clock::Time began;
  };
  // Returns when the ramp's present step was first seen; nothing: it was not seen yet.
  std::optional<Clock::Time> began(const ServiceState& service) const;

  std::unordered_map<uint16_t, Step> steps_;  // by service id
};

}  // namespace teal
