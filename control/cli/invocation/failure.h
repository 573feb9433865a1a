// SPDX-License-Identifier: Apache-2.0
//
// How a verb of `teal` ends when it does not succeed: an exit code that scripts can rely on, a code word for
// `-o json`, a sentence for people, and what to try next.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace teal::cli {

// Part of the interface: scripts test for them.
enum ExitCode : int {
  kDone = 0,
  kError = 1,
  kUsage = 2,
  kRefused = 3,      // a gate or a lock refused the change; nothing happened
  kTimeout = 4,      // published, not adopted by all workers in time, and not undone; or waited in vain
  kConflict = 5,     // the generation is not the expected one; nothing happened
  kRolledBack = 6,   // by somebody, while this waited for the drain
  kUnreachable = 7,  // no answer from the daemon
};

struct Failure {
  ExitCode exit_code = kError;
  std::string code;  // "unknown_service", "usage", ...; the API's where the daemon said it
  std::string message;
  std::string hint = {};                  // what to try; may be empty
  std::vector<std::string> details = {};  // one line each, said before the message (errors of a config file)
  // The daemon's answer to a change that was done before this failed: a flip, say, whose drain took too long.
  std::shared_ptr<const nlohmann::json> done = nullptr;
};

Failure usage_failure(std::string message, std::string hint = {});

// An answer of the API that is no success. A body that is not of the API's form is told as it is.
Failure failure_of_reply(unsigned status, const nlohmann::json& body);

// A daemon that is being restarted, or has more clients than it takes: asking again helps.
bool may_pass(const Failure& failure);

nlohmann::json to_json(const Failure& failure);  // {"error":{...}}, and "done" if it is there
void print_failure(const Failure& failure, std::ostream& stream);  // as text

}  // namespace teal::cli
