// SPDX-License-Identifier: Apache-2.0
//
// What flip and rollback share: the post, the sentence, and --wait.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// `would` is the verb in "would VERB service-a ...".
Outcome roll(const Invocation& call, const std::string& target, nlohmann::json request,
             std::string_view would);

}  // namespace teal::cli
