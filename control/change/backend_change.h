// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tl/expected.hpp>

#include "control/change/change.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"

namespace teal {

// A backend's new admin state or weight in one pool. Refused where it would leave the active colour without a
// backend that takes new flows.
tl::expected<Change, Refusal> plan_backend(const BackendRequest& request, const Catalogue& catalogue,
                                           const Publisher& publisher);

// What plan_backend() told of one backend (its "changed"), applied to the service's backends at a start.
void apply_backend(const nlohmann::json& changed, uint16_t service, std::vector<BackendState>& backends);

}  // namespace teal
