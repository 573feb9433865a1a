// SPDX-License-Identifier: Apache-2.0
//
// The verbs that change something share their options, the request, and the sentence about the answer. The
// sentence begins with the generation; for a dry run it begins with "would".
#pragma once

#include <span>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// --if-generation, --reason, --dry-run.
std::span<const OptionSpec> change_options();

// Returns {"services":[...]} or {"group":...} from the command line. It is an error to give both or neither.
tl::expected<nlohmann::json, Failure> selection(const Invocation& call);

// The same with {"to":COLOUR} of --to, and with "force" if --force is given. It is an error to leave --to
// out: a change that toggled would go back if it was sent twice.
tl::expected<nlohmann::json, Failure> selection_with_colour(const Invocation& call);

// Posts the request, with change_options() as given on the command line.
tl::expected<nlohmann::json, Failure> post_change(const Invocation& call, const std::string& target,
                                                  nlohmann::json request);

struct ChangeWords {
  std::string done;      // "service-a blue -> green"; empty if nothing was changed
  std::string would;     // for a dry run: "flip service-a blue -> green"
  std::string nothing;   // why nothing was changed: "service-a is already there"
  std::string lines;     // more lines behind the sentence, each with its line end
  std::string sentence;  // replaces "generation N: DONE; adopted by ..."; without line end
  std::string hint;      // for standard error; without line end
};

// Prints the sentence and the lines, and warnings to standard error. Not for -o json.
void print_change(const Invocation& call, const nlohmann::json& reply, const ChangeWords& words);

std::string change_sentence(const nlohmann::json& reply, const ChangeWords& words);

// Describes the entries of an answer's "changed" or of the history's "changes". Neighbours with the same
// change share one description: "service-a, service-b blue -> green".
std::string changes_text(const nlohmann::json& entries, bool colour);

// Describes the answer's "unchanged": "a is HOW", "a, b are HOW".
std::string unchanged_text(const nlohmann::json& reply, std::string_view how);

}  // namespace teal::cli
