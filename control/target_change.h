// SPDX-License-Identifier: Apache-2.0
//
// A planned rollout in the words of those who take part in it: the database, the segment, the history.
#pragma once

#include <string>
#include <vector>

#include "control/catalogue.h"
#include "control/publisher.h"
#include "control/rollout.h"

namespace teal {

std::vector<ServiceState> states_after(const RolloutPlan& plan, uint64_t generation, int64_t now_ms,
                                       const Catalogue& catalogue);
std::vector<TargetUpdate> updates_of(const std::vector<ServiceState>& states, uint32_t now_tick,
                                     const Catalogue& catalogue);
std::string changes_json(const RolloutPlan& plan);  // for the history

}  // namespace teal
