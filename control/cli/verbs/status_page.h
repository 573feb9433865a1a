// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// The page of `teal status`, from the answer to GET /v1/services. `named`: services were named, so all that
// is known of them is shown.
std::string status_page(const nlohmann::json& reply, bool named, const Surroundings& around);

}  // namespace teal::cli
