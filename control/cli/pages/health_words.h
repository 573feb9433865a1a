// SPDX-License-Identifier: Apache-2.0
//
// Words for the health of a backend, as the API's views of backends have it.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/terminal/table.h"

namespace teal::cli {

// "up", "down: connection refused", "unchecked", or "unknown since 2026-11-23 05:30:00Z, last known: up".
// An ejected backend has ", ejected until 2026-11-23 05:30:30Z: 5 failures since its last answer" behind it.
// Empty if the backend has no check and is not ejected. Warns unless the backend is certainly up.
Cell health_cell(const nlohmann::json& backend);

// True if the backend has no check, or is certainly up; false if it is ejected.
bool is_healthy(const nlohmann::json& backend);

// True if the backend takes new flows, as far as operators and the config say.
bool takes_new_flows(const nlohmann::json& backend);

// "teal-health does not report: health is unknown since ..., ...", or "" if it reports or nothing is checked.
std::string prober_problem(const nlohmann::json& prober);

}  // namespace teal::cli
