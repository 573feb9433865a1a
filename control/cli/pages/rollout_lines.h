// SPDX-License-Identifier: Apache-2.0
//
// The lines of `teal status` about the rollout of a service: its ramp, its bake, and the verdict so far.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// Returns sentences that may be several lines long; none: nothing is under way, and nothing was found. With
// `details`, there is a line for each signal.
std::vector<std::string> rollout_lines(const nlohmann::json& service, bool details,
                                       const Surroundings& around);

// Returns whether the finding is about the rollout that the service is on, and not an earlier one.
bool is_of_present_rollout(const nlohmann::json& finding, const nlohmann::json& service);

}  // namespace teal::cli
