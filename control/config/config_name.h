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

// A table's `name`, even if it is refused, so that errors elsewhere can use it; "" if there is none. Refused
// is what is no name, and what another table of this `kind` is called.
std::string read_name(const ConfigNode& table, std::string_view kind, FirstLines& first_lines);

}  // namespace teal
