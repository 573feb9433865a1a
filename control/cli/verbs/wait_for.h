// SPDX-License-Identifier: Apache-2.0
//
// Waits until services are drained, healthy, rolled out or settled. It asks the daemon repeatedly.
// run_wait() and roll() call it.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

inline constexpr std::chrono::minutes kDefaultWait(10);

struct WaitFor {
  std::vector<std::string> services;
  std::string condition;  // "drained", "healthy", "rolled-out", "settled"
  std::chrono::milliseconds timeout = kDefaultWait;
  std::optional<std::string> colour = {};  // with "healthy"; nothing: the active one
  // The colour that each service has, or gets by a ramp. The wait also lasts as long as its ramp and its
  // bake. Any other colour without a ramp there is a rollback, by Teal or by another operator.
  std::map<std::string, std::string> active = {};
  // Services that the command found there already: a finding about them counts only while it is judged on.
  std::set<std::string> unchanged = {};
};

// Returns how long the wait took. The failure has the exit code kTimeout, with a line for each service that
// is not ready, or kRolledBack.
tl::expected<std::chrono::duration<double>, Failure> wait_for(const Invocation& call, const WaitFor& wanted);

// "service-a, service-b are drained (12.3s)\n"
std::string waited_text(const WaitFor& wanted, std::chrono::duration<double> took);

}  // namespace teal::cli
