// SPDX-License-Identifier: Apache-2.0
//
// Names of services and groups in a config file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "dataplane/config/config_reader.h"

namespace teal {

inline constexpr char kConfigNameForm[] = "1 to 63 of a-z, 0-9 and '-', not '-' first";
bool is_config_name(std::string_view text);

// The line where a name was first used, by name.
using FirstLines = std::unordered_map<std::string, uint32_t>;

// Returns a table's `name`, or "" if the table has none. Reports an error if the name has a wrong form or
// if another table of this `kind` has the same name. A refused name is returned all the same, so that other
// errors can
// quote it.
std::string read_name(const ConfigNode& table, std::string_view kind, FirstLines& first_lines);

}  // namespace teal
