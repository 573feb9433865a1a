// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "control/config/config.h"

namespace teal {

// Names the keys of the tables [rollout] and [service.rollout] that differ, with their values:
// "bake 2m -> 5m".
std::vector<std::string> rollout_changes(const ServiceConfig& before, const ServiceConfig& after);

}  // namespace teal
