// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace teal::cli {

// The lines about an answer's `drains`: when the flows of the draining colour are reset, and how many.
// Returns "" if the change begins no drain.
std::string drain_end_lines(const nlohmann::json& reply, unsigned columns);

}  // namespace teal::cli
