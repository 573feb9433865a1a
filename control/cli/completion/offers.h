// SPDX-License-Identifier: Apache-2.0
//
// Computes the words that can stand at the cursor of a command line. Verbs and options come from the verb
// table; names of services, groups and backends come from the daemon. Without an answer of the daemon, names
// are missing and no error is reported.
//
//   words                   offered
//   ["fl"]                  every verb; the shell chooses those that begin with "fl"
//   ["flip", ""]            the services
//   ["flip", "--to", ""]    blue, green
//   ["flip", "--to=b"]      --to=blue, --to=green
//   ["check", ""]           files
#pragma once

#include <span>
#include <string>
#include <vector>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

struct Offer {
  std::string word;
  std::string description = {};  // may be empty
};

struct Offers {
  std::vector<Offer> words = {};
  bool files = false;  // the shell offers names of files instead
};

// `words` are those behind "teal". The last one is under the cursor and may be empty; the others are
// complete.
Offers offers_for(std::span<const std::string> words, const Invocation& call);

}  // namespace teal::cli
