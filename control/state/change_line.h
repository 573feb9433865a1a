// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "control/state/state.h"

namespace teal {

// Returns the log's line about a change: its verb and what it changes, the result, who wanted it, and why.
//
//   flip [{"service":"web",...}]: done, 2 of 2 workers adopted it; generation 13; uid 1000 (alice);
//   revision 13; reason: x
std::string change_line(const Intent& intent, std::string_view result);

// Writes that line to the log. `level` is one of spdlog.
void log_change(int level, const Intent& intent, const std::string& result);

// Returns "uid 1000 (alice)", "uid 1000" if the name is not known, "uid 1000 (alice) as root" for a login
// behind sudo, or "teald".
std::string actor_text(const Actor& actor);

}  // namespace teal
