// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "control/cli/invocation/change.h"
#include "control/cli/verbs/rollout.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {

Outcome run_flip(const Invocation& call) {
  const auto to = call.arguments.colour("to");
  if (!to) return tl::unexpected(to.error());
  auto request = selection(call);
  if (!request) return tl::unexpected(request.error());
  // The colour is required. A flip that toggled would go back if it was sent twice.
  if (!*to)
    return tl::unexpected(
        usage_failure("teal flip: --to COLOUR is missing; expected blue or green", "teal flip --help"));
  (*request)["to"] = **to;
  if (call.arguments.has("force")) (*request)["force"] = true;
  if (call.arguments.has("now")) (*request)["now"] = true;
  return roll(call, "/v1/flip", std::move(*request), "flip");
}

}  // namespace teal::cli
