// SPDX-License-Identifier: Apache-2.0
//
// Functions that request services: all services, named services, or the services of a group.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// The daemon's short answer, without backends. It stays small with 1,024 services.
tl::expected<nlohmann::json, Failure> get_summary(const Client& daemon);

// Returns SERVICE... of the command line, or the services of --group. It is an error to give both or neither.
tl::expected<std::vector<std::string>, Failure> selected_services(const Invocation& call);

// Returns an array of the named services in the order of `names`, or of all services if `names` is empty.
tl::expected<nlohmann::json, Failure> get_services(const Client& daemon,
                                                   const std::vector<std::string>& names);

Failure unknown_service(const std::string& name, const nlohmann::json& services);

}  // namespace teal::cli
