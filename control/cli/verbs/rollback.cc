// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/verbs/rollout.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

// Names the present generation in the request: teald then undoes no flip that comes after this moment.
// Without an answer to this question, the rollback goes ahead: its own request reports a teald that cannot be
// reached.
void add_seen_generation(const Invocation& call, nlohmann::json& request) {
  const auto version = call.daemon.get("/v1/version");
  if (!version) return;
  if (const auto& generation = part(*version, "generation"); generation.is_number())
    request["seen_generation"] = generation;
}

// Returns the services of the request. All services need --all, so that nobody means them by mistake.
tl::expected<nlohmann::json, Failure> read_selection(const Invocation& call) {
  const auto& arguments = call.arguments;
  if (!arguments.has("all")) {
    if (arguments.has("to-generation") && !arguments.has("group") && arguments.positional.empty()) {
      return tl::unexpected(
          usage_failure("teal rollback: --to-generation needs SERVICE..., --group GROUP or --all",
                        "--all returns every service to its colour in that generation"));
    }
    return selection(call);
  }
  if (arguments.has("group") || !arguments.positional.empty() || !arguments.has("to-generation")) {
    return tl::unexpected(usage_failure(
        "teal rollback: --all goes with --to-generation N, and without SERVICE... and --group GROUP",
        "teal rollback --help"));
  }
  return nlohmann::json{{"all", true}};
}

}  // namespace

Outcome run_rollback(const Invocation& call) {
  const auto to_generation = call.arguments.number("to-generation", 1, std::numeric_limits<int64_t>::max());
  if (!to_generation) return tl::unexpected(to_generation.error());
  auto request = read_selection(call);
  if (!request) return tl::unexpected(request.error());
  if (*to_generation) (*request)["to_generation"] = **to_generation;
  add_seen_generation(call, *request);
  return roll(call, "/v1/rollback", std::move(*request), "roll back");
}

}  // namespace teal::cli
