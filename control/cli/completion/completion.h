// SPDX-License-Identifier: Apache-2.0
//
// Scripts that complete teal's words in a shell, made from the verb table. What verbs and options there are
// is written into them; names of services, groups and backends are asked for when they are needed, by `teal
// completion --words`, which says nothing when there is no daemon.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

std::string bash_completion();
std::string zsh_completion();
std::string fish_completion();

// What a placeholder of the table can be completed with.
struct Candidates {
  enum class Kind { kNone, kFixed, kNames, kFiles } kind = Kind::kNone;
  std::vector<std::string> words = {};  // kFixed
  std::string_view names = {};          // kNames: for --words
};
Candidates candidates_of(std::string_view placeholder);

// The verb's options, with the common ones, without hidden ones.
std::vector<OptionSpec> completed_options(const Verb& verb);

struct FirstWord {
  std::string_view word;           // "backend"
  std::string_view summary;        // of the verb
  std::vector<const Verb*> verbs;  // one, or those of the family
  bool is_family() const { return verbs.front()->name != word; }
};
std::vector<FirstWord> first_words();

std::string_view second_word(const Verb& verb);  // "set" of "backend set"

// In single quotes, for any of the shells.
std::string shell_quoted(std::string_view text);

}  // namespace teal::cli
