// SPDX-License-Identifier: Apache-2.0
//
// Services by name, for verbs that look at some of them: what a group means, and what the daemon says of
// each.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// What the daemon says in a few bytes a service; for 1,024 of them, too.
tl::expected<nlohmann::json, Failure> get_summary(const Client& daemon);

// SERVICE... of the command line, or the members of its --group; exactly one of the two.
tl::expected<std::vector<std::string>, Failure> selected_services(const Invocation& call);

// An array with the services of these names, in their order. No name: all.
tl::expected<nlohmann::json, Failure> get_services(const Client& daemon,
                                                   const std::vector<std::string>& names);

Failure unknown_service(const std::string& name, const nlohmann::json& services);

}  // namespace teal::cli
