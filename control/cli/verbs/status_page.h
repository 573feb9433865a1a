// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// The page of `teal status`, made from the answer to GET /v1/services. `named` is true if the operator named
// services; then each service is shown with all its details.
std::string status_page(const nlohmann::json& reply, bool named, const Surroundings& around);

}  // namespace teal::cli
