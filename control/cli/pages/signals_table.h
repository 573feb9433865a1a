// SPDX-License-Identifier: Apache-2.0
//
// The signals that flows gave about a service, both colours side by side.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"
#include "control/cli/terminal/table.h"

namespace teal::cli {

// Returns the table for these services, without those of which no flow began; "" if none is left. The counts
// begin with the segment. `services` is from the answer to GET /v1/services.
std::string signals_table(const nlohmann::json& services, const Surroundings& around);

// Returns the words for a backend of TCP that refuses flows or does not answer; "" if a flow was answered, or
// none has failed: "no flow answered: 12 refused, 3 unanswered". UDP without replies may be well.
std::string failing_words(const nlohmann::json& backend);

}  // namespace teal::cli
