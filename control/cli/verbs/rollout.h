// SPDX-License-Identifier: Apache-2.0
//
// What flip, rollback and the verbs of ramps share: flip and rollback send the request, print the sentence,
// and wait if --wait is given; the answers of all of them are told alike.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "control/cli/invocation/change.h"
#include "control/cli/invocation/verb.h"

namespace teal::cli {

// `would` is the verb in the sentence of a dry run: "would VERB service-a ...".
Outcome roll(const Invocation& call, const std::string& target, nlohmann::json request,
             std::string_view would);

// With --wait, waits until the ramps, the bake and the drains of the answered change are over. The failure
// has kRolledBack if Teal or another operator went back. With --json, prints the answer.
Outcome finish_rollout(const Invocation& call, nlohmann::json reply, const std::string& to,
                       std::chrono::milliseconds timeout);

// Tells what was changed, and the drains that begin. `nothing` says how services are that stay as they are.
ChangeWords rollout_words(const nlohmann::json& reply, std::string_view would, std::string_view nothing,
                          const Surroundings& around);
// Names the services that stay as they are, beside those that change.
void add_unchanged(const nlohmann::json& reply, ChangeWords& words);

}  // namespace teal::cli
