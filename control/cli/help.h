// SPDX-License-Identifier: Apache-2.0
//
// The texts of `teal help`, `teal VERB --help` and the man page. They are made from the verb table.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

std::string help_text();
std::string help_text(const Verb& verb);
// The help of all verbs that begin with this word: "backend" for "backend set" and "backend list".
std::string help_of_family(std::string_view word);

// Prints the text, or {"help":...} for -o json.
Outcome print_help(const Invocation& call, const std::string& text);

std::string man_page();  // teal(1), in mdoc

Outcome run_help(const Invocation& call);

// The exit codes and their meanings.
std::span<const std::pair<int, std::string_view>> exit_codes();

}  // namespace teal::cli
