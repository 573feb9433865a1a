// SPDX-License-Identifier: Apache-2.0
//
// Which hooks belong to a change, and what they are told: pure functions of the change and of the config.
//
// A hook's command gets one JSON object on its standard input. This is a post_flip:
//
//   {"hook":"post_flip","id":41,"generation":17,"verb":"flip",
//    "services":[{"service":"web","from":"blue","to":"green","share":"100%"}],
//    "reason":"release 42","uid":1000,"user":"alice","at":"2026-11-29T16:00:00.000Z","result":"done",
//    "verdict":null}
//
// Services of one change with the same command share one run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "control/config/config.h"
#include "control/state/hook_memory.h"
#include "control/state/state.h"

namespace teal {

// The input of a hook has one of these for each service.
struct HookMove {
  std::string service;
  Colour from = Colour::kBlue, to = Colour::kBlue;
  std::string share;  // of new flows that `to` has then, such as "25%"

  friend bool operator==(const HookMove&, const HookMove&) = default;
};

// One run of a command.
struct HookJob {
  Hook hook = Hook::kPreFlip;
  HookCommand run;
  std::vector<std::string> services;
  std::string input;  // JSON

  friend bool operator==(const HookJob&, const HookJob&) = default;
};

// Returns the hooks of a service; null: the config has no such service.
using HooksOf = std::function<const HookCommands*(const std::string& service)>;

// The request of a change that has no history id yet.
struct HookRequest {
  std::string verb, reason;
  Actor actor;
};

std::vector<HookJob> pre_flip_jobs(const std::vector<HookMove>& moves, const HookRequest& request,
                                   const HooksOf& hooks_of);

// The hooks of a change that was published. A change that was not has none.
std::vector<HookJob> jobs_after(const HistoryRow& change, const HooksOf& hooks_of);

// The drains that the change begins, whose ends are told to the hook `drained`.
std::vector<PendingDrain> drains_of(const HistoryRow& change);
// The hook of drains of one change that have ended.
std::vector<HookJob> drained_jobs(const std::vector<PendingDrain>& drains, const HooksOf& hooks_of);

}  // namespace teal
