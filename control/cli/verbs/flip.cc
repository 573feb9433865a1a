// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "control/cli/invocation/change.h"
#include "control/cli/verbs/rollout.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {

Outcome run_flip(const Invocation& call) {
  auto request = selection_with_colour(call);
  if (!request) return tl::unexpected(request.error());
  if (call.arguments.has("now")) (*request)["now"] = true;
  return roll(call, "/v1/flip", std::move(*request), "flip");
}

}  // namespace teal::cli
