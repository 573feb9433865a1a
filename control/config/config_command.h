// SPDX-License-Identifier: Apache-2.0
//
// Reads a command with its arguments: of a check of the kind "command", and of a hook.
#pragma once

#include <string>
#include <vector>

#include "dataplane/config/config_reader.h"

namespace teal {

// Limits of a command. They also bound the message that gives the command to teal-health.
inline constexpr size_t kMaxCommandWords = 64;
inline constexpr size_t kMaxCommandBytes = 4096;  // of all words together
inline constexpr char kCommandForm[] =
    "an array of strings whose first one is an absolute path, such as [\"/usr/lib/teal/check\", \"arg\"]";

// Returns the words. An error is reported, and the result is then of no use.
std::vector<std::string> read_command(const ConfigNode& node);

}  // namespace teal
