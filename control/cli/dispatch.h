// SPDX-License-Identifier: Apache-2.0
//
// From the words on the command line to a verb of the table, and from its outcome to an exit code.
#pragma once

#include <span>
#include <string>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// Runs the whole program: takes the words after "teal" and returns the exit code.
int run(std::span<const std::string> words, Surroundings& around);

}  // namespace teal::cli
