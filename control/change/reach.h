// SPDX-License-Identifier: Apache-2.0
//
// Says what a flip or a rollback is worth: whether the dataplane can send packets to the backends of the new
// colours.
#pragma once

#include <string>
#include <vector>

#include "control/change/refusal.h"
#include "control/change/rollout.h"
#include "control/kernel/hop_states.h"
#include "control/state/catalogue.h"

namespace teal {

struct Reach {
  std::vector<std::string> dead;      // services none of whose backends of the new colour can be reached
  bool is_undecided = false;          // a service is dead unless a neighbour answers in time
  std::vector<std::string> backends;  // those without a next hop: "web/green/198.18.2.21:8080: no route"
  std::vector<std::string> warnings;  // one for each service with such a backend
};

// Looks at the backends that take new flows of each service that the plan changes.
Reach reach_of(const RolloutPlan& plan, const Catalogue& catalogue, const HopStates& states, Clock::Time now);

// The refusal of a flip of services that are `dead`.
Refusal cannot_serve(const Reach& reach, Colour to);

}  // namespace teal
