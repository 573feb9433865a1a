// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// Sorts the services of an answer to GET /v1/services: first overdue drains, then active backends without a
// next hop, drains, other notable states, and at last the services that are as the file says.
void sort_by_trouble(nlohmann::json& services);

struct PageForm {
  bool named = false;    // the operator named the services: each is shown with all its details
  size_t max_lines = 0;  // services that do not fit are left out, and counted; 0: no limit
};

// The page of `teal status`, made from the answer to GET /v1/services.
std::string status_page(const nlohmann::json& reply, const PageForm& form, const Surroundings& around);

}  // namespace teal::cli
