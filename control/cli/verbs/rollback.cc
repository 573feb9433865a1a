// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <nlohmann/json.hpp>

#include "control/cli/invocation/change.h"
#include "control/cli/verbs/rollout.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {

Outcome run_rollback(const Invocation& call) {
  const auto& arguments = call.arguments;
  const auto to_generation = arguments.number("to-generation", 1, std::numeric_limits<int64_t>::max());
  if (!to_generation) return tl::unexpected(to_generation.error());
  nlohmann::json request = nlohmann::json::object();
  // Without names, all services are meant. This is allowed only with --to-generation.
  if (!*to_generation || arguments.has("group") || !arguments.positional.empty()) {
    auto chosen = selection(call);
    if (!chosen) return tl::unexpected(chosen.error());
    request = std::move(*chosen);
  }
  if (*to_generation) request["to_generation"] = **to_generation;
  return roll(call, "/v1/rollback", std::move(request), "roll back");
}

}  // namespace teal::cli
