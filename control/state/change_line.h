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

// "uid 1000 (alice)", or "uid 1000" if the name is not known.
std::string user_text(uint32_t uid, const std::string& user);

}  // namespace teal
