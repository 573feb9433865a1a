// SPDX-License-Identifier: Apache-2.0
//
// The phase of a service's rollout. A phase follows from the state, the judgement and the flows that are
// left, so nothing stores it.
#pragma once

#include <array>
#include <cstdint>

#include "control/drain/drain_trends.h"
#include "control/state/catalogue.h"
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

inline RolloutPhase phase_of(const CatalogueService& service, const ServiceState& state, const Trials& trials,
                             const Publisher& publisher) {
  using enum RolloutPhase;
  if (state.ramp) return state.ramp->paused ? kPaused : kRamping;
  if (trials.is_baking(state)) return kBaking;
  const bool drains = state.flip_generation != 0 && publisher.splits() != nullptr &&
                      draining_of(service, other(state.active), state.flip_generation, publisher).live != 0;
  return drains ? kDraining : kSteady;
}

}  // namespace teal
