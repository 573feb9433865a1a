// SPDX-License-Identifier: Apache-2.0
//
// What the verbs that change something have in common: the options, the request, and the sentence about the
// answer. A change that was made begins with its generation, one that was only asked about with "would".
#pragma once

#include <span>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// --if-generation, --reason, --dry-run.
std::span<const OptionSpec> change_options();

// {"services":[...]} or {"group":...}, as the command line says; exactly one of them.
tl::expected<nlohmann::json, Failure> selection(const Invocation& call);

// Posts it, with the options above as they are given.
tl::expected<nlohmann::json, Failure> post_change(const Invocation& call, const std::string& target,
                                                  nlohmann::json request);

struct ChangeWords {
  std::string done;      // "service-a blue -> green"; empty: there was nothing to change
  std::string would;     // "flip service-a blue -> green"
  std::string nothing;   // why there was nothing to change: "service-a is already there"
  std::string lines;     // what else there is to say, each line ended
  std::string sentence;  // instead of "generation N: DONE; adopted by ...", without a line end
};

// The sentence, the lines, and warnings on standard error. Not for -o json.
void print_change(const Invocation& call, const nlohmann::json& reply, const ChangeWords& words);

std::string change_sentence(const nlohmann::json& reply, const ChangeWords& words);

// The entries of an answer's "changed" and of the history's "changes", those that say the same together:
// "service-a, service-b blue -> green".
std::string changes_text(const nlohmann::json& entries, bool colour);

// "a is already there", "a, b are already there"; of the answer's "unchanged".
std::string unchanged_text(const nlohmann::json& reply, std::string_view how);

}  // namespace teal::cli
