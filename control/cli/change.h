// SPDX-License-Identifier: Apache-2.0
//
// What flip and rollback share: the request from the command line, and the sentence about the answer.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/verb.h"

namespace teal::cli {

// {"services":[...]} or {"group":...}, with if_generation and reason where they are given.
tl::expected<nlohmann::json, Failure> change_request(const Invocation& call, std::string_view verb);

// Posts it, prints the answer and its warnings.
Outcome post_change(const Invocation& call, const std::string& target, const nlohmann::json& request);

// "generation 13: service-a, service-b blue -> green; adopted by 2 of 2 workers, slowest 3.1 us", and a line
// about the services that stay as they are, if some do.
std::string change_sentence(const nlohmann::json& reply, bool colour);

}  // namespace teal::cli
