// SPDX-License-Identifier: Apache-2.0
//
// A service's rollout is in one phase. The phase follows from the state, the judgement and the flows that are
// left, so nothing stores it.
#pragma once

#include <array>
#include <cstdint>

#include "control/state/inventory.h"
#include "control/trial/trials.h"

namespace teal {

enum class RolloutPhase : uint8_t { kSteady, kRamping, kPaused, kBaking, kDraining };
inline constexpr std::array kRolloutPhases = {RolloutPhase::kSteady, RolloutPhase::kRamping,
                                              RolloutPhase::kPaused, RolloutPhase::kBaking,
                                              RolloutPhase::kDraining};

constexpr const char* name_of(RolloutPhase phase) {
  constexpr const char* names[] = {"steady", "ramping", "paused", "baking", "draining"};
  return names[static_cast<size_t>(phase)];
}

inline RolloutPhase phase_of(const ServiceState& state, const Trials& trials, bool is_draining) {
  if (state.ramp) return state.ramp->paused ? RolloutPhase::kPaused : RolloutPhase::kRamping;
  if (trials.is_baking(state)) return RolloutPhase::kBaking;
  return is_draining ? RolloutPhase::kDraining : RolloutPhase::kSteady;
}

}  // namespace teal
