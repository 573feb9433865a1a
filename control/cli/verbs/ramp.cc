// SPDX-License-Identifier: Apache-2.0
//
// teal ramp, next, abort, pause, resume
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/verbs/rollout.h"
#include "control/cli/verbs/verbs.h"
#include "control/cli/verbs/wait_for.h"

namespace teal::cli {
namespace {

// Sends a request about ramps and prints the answer. `nothing` says why a service stays as it is.
Outcome change_ramps(const Invocation& call, const std::string& target, nlohmann::json request,
                     std::string_view nothing, std::string hint,
                     std::chrono::milliseconds timeout = kDefaultWait) {
  const std::string to = text_or(request, "to");
  auto reply = post_change(call, target, std::move(request));
  if (!reply) return tl::unexpected(reply.error());
  if (!call.json) {
    ChangeWords words = rollout_words(*reply, call.verb.name, nothing, call.around);
    add_unchanged(*reply, words);
    if (!words.done.empty() && !flag(*reply, "dry_run")) words.hint = std::move(hint);
    print_change(call, *reply, words);
  }
  return finish_rollout(call, std::move(*reply), to, timeout);
}

Outcome change_ramps(const Invocation& call, const std::string& target, std::string_view nothing) {
  auto request = selection(call);
  if (!request) return tl::unexpected(request.error());
  if (call.arguments.has("force")) (*request)["force"] = true;
  return change_ramps(call, target, std::move(*request), nothing, "");
}

}  // namespace

Outcome run_ramp(const Invocation& call) {
  auto request = selection_with_colour(call);
  if (!request) return tl::unexpected(request.error());
  const auto every = call.arguments.duration("every");
  if (!every) return tl::unexpected(every.error());
  if (*every) (*request)["every"] = *call.arguments.value("every");
  if (const auto steps = call.arguments.value("steps")) {
    auto& list = (*request)["steps"] = nlohmann::json::array();
    for (const auto step : split(*steps, ',')) list.push_back(step);
  }
  if (call.arguments.has("manual")) (*request)["manual"] = true;
  const auto timeout = call.arguments.duration("timeout");
  if (!timeout) return tl::unexpected(timeout.error());
  return change_ramps(call, "/v1/ramp", std::move(*request), "already there",
                      "teal status SERVICE shows the ramp; teal abort SERVICE takes the share back at once",
                      timeout->value_or(kDefaultWait));
}

Outcome run_next(const Invocation& call) {
  return change_ramps(call, "/v1/next", "without a ramp");
}

Outcome run_abort(const Invocation& call) {
  return change_ramps(call, "/v1/abort", "without a ramp");
}

Outcome run_pause(const Invocation& call) {
  return change_ramps(call, "/v1/pause", "without a ramp, or paused already");
}

Outcome run_resume(const Invocation& call) {
  return change_ramps(call, "/v1/resume", "without a paused ramp");
}

}  // namespace teal::cli
