// SPDX-License-Identifier: Apache-2.0
//
// Waits until services are drained, healthy or settled, by asking again and again: `teal wait`, and --wait of
// flip and rollback.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

inline constexpr std::chrono::minutes kDefaultWait(10);

struct WaitFor {
  std::vector<std::string> services;
  std::string condition;  // "drained", "healthy", "settled"
  std::chrono::milliseconds timeout = kDefaultWait;
  // The colour that a service has to keep while it is waited for; another one is a rollback by somebody.
  std::map<std::string, std::string> active = {};
};

// How long it took. The error has exit code kTimeout and a line for each service about what is left, or
// kRolledBack.
tl::expected<std::chrono::duration<double>, Failure> wait_for(const Invocation& call, const WaitFor& wanted);

// "service-a, service-b are drained (12.3s)\n"
std::string waited_text(const WaitFor& wanted, std::chrono::duration<double> took);

}  // namespace teal::cli
