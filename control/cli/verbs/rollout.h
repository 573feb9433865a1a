// SPDX-License-Identifier: Apache-2.0
//
// flip and rollback share this: they send the request, print the sentence, and wait if --wait is given.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// `would` is the verb in the sentence of a dry run: "would VERB service-a ...".
Outcome roll(const Invocation& call, const std::string& target, nlohmann::json request,
             std::string_view would);

}  // namespace teal::cli
