// SPDX-License-Identifier: Apache-2.0
#include "control/target_change.h"

#include <nlohmann/json.hpp>

namespace teal {

std::string changes_json(const RolloutPlan& plan) {
  nlohmann::ordered_json changes = nlohmann::ordered_json::array();
  for (const TargetChange& change : plan.changes) {
    changes.push_back({{"service", change.name},
                       {"from", kColourNames[static_cast<size_t>(change.from)]},
                       {"to", kColourNames[static_cast<size_t>(change.to)]}});
  }
  return changes.dump();
}

std::vector<ServiceState> states_after(const RolloutPlan& plan, uint64_t generation, int64_t now_ms,
                                       const Catalogue& catalogue) {
  std::vector<ServiceState> states;
  for (const TargetChange& change : plan.changes) {
    ServiceState state = *catalogue.service(change.service);
    state.active = change.to;
    state.previous = change.from;
    state.flip_generation = generation;
    state.flipped_at_ms = now_ms;
    states.push_back(std::move(state));
  }
  return states;
}

std::vector<TargetUpdate> updates_of(const std::vector<ServiceState>& states, uint32_t now_tick,
                                     const Catalogue& catalogue) {
  std::vector<TargetUpdate> updates;
  for (const ServiceState& state : states) {
    updates.push_back({state.id,
                       {.active = state.active,
                        .previous = state.previous.value_or(state.active),
                        .other_share = 0,
                        .flip_generation = static_cast<uint32_t>(state.flip_generation),
                        .flipped_at_tick = now_tick,
                        .drain_ticks = drain_ticks(catalogue.find(state.name)->config->drain_timeout)}});
  }
  return updates;
}

}  // namespace teal
