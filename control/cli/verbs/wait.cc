// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/services.h"
#include "control/cli/verbs/verbs.h"
#include "control/cli/verbs/wait_for.h"

namespace teal::cli {

Outcome run_wait(const Invocation& call) {
  const auto condition = call.arguments.choice("for", "drained|healthy|settled");
  if (!condition) return tl::unexpected(condition.error());
  const auto timeout = call.arguments.duration("timeout");
  if (!timeout) return tl::unexpected(timeout.error());
  const auto colour = call.arguments.colour("colour");
  if (!colour) return tl::unexpected(colour.error());
  if (!*condition) {
    return tl::unexpected(
        usage_failure("teal wait: --for CONDITION is missing; expected drained, healthy or settled",
                      "teal wait --help describes the conditions"));
  }
  if (*colour && **condition != "healthy")
    return tl::unexpected(
        usage_failure(fmt::format("teal wait: --colour needs --for healthy, and --for is {}", **condition),
                      "teal wait --help describes the conditions"));
  const auto services = selected_services(call);
  if (!services) return tl::unexpected(services.error());
  const WaitFor wanted{.services = *services,
                       .condition = **condition,
                       .timeout = timeout->value_or(kDefaultWait),
                       .colour = *colour};
  const auto took = wait_for(call, wanted);
  if (!took) return tl::unexpected(took.error());
  if (call.json) {
    call.print({{"condition", wanted.condition}, {"services", wanted.services}, {"seconds", took->count()}});
  } else {
    call.around.out << waited_text(wanted, *took);
  }
  return {};
}

}  // namespace teal::cli
