// SPDX-License-Identifier: Apache-2.0
//
// The end of a verb that does not succeed: an exit code for scripts, a code word for `-o json`, a sentence
// for people, and a hint what to do next.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace teal::cli {

// Scripts depend on these numbers.
enum ExitCode : int {
  kDone = 0,
  kError = 1,
  kUsage = 2,
  kRefused = 3,   // a gate or a lock refused the change; nothing was changed
  kTimeout = 4,   // a change was published, not adopted in time and not undone; or a wait reached its timeout
  kConflict = 5,  // another change came first: --if-generation, rollback; nothing was changed
  kRolledBack = 6,   // during --wait, Teal or somebody else changed the active colour, or Teal found it bad
  kUnreachable = 7,  // teald cannot be reached, so nothing was changed; or its answer to a question is lost
  kLostAnswer = 8,   // a change was sent, and its answer is lost: it may have been made
};

struct Failure {
  ExitCode exit_code = kError;
  std::string code;  // "unknown_service", "usage", ...; the API's code if the daemon answered
  std::string message;
  std::string hint = {};  // what to do next; may be empty
  std::vector<std::string> details =
      {};  // lines that are printed before the message, such as errors of a config file
  // The daemon's answer, if it answered: to a change that succeeded before this failure, such as a flip whose
  // drain took too long, or to a question such as `teal verify`.
  std::shared_ptr<const nlohmann::json> done = nullptr;
};

Failure usage_failure(std::string message, std::string hint = {});

// The failure for an answer whose status is not 2xx, or whose body is not an object.
Failure failure_of_reply(unsigned status, const nlohmann::json& body);

// True if a later request may succeed: teald is being restarted or has too many clients.
bool may_pass(const Failure& failure);

nlohmann::json to_json(const Failure& failure);  // {"error":{...}}, with "done" if it is set
void print_failure(const Failure& failure, std::ostream& stream);

}  // namespace teal::cli
