// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/services.h"
#include "control/cli/verbs/verbs.h"
#include "control/cli/verbs/wait_for.h"

namespace teal::cli {
namespace {

// Returns the colour that each service has now, or gets by its ramp.
tl::expected<std::map<std::string, std::string>, Failure> colours_to_come(
    const Invocation& call, const std::vector<std::string>& names) {
  const auto services = get_services(call.daemon, names);
  if (!services) return tl::unexpected(services.error());
  std::map<std::string, std::string> colours;
  for (const auto& service : *services) {
    const auto& ramp = part(service, "ramp");
    colours[text(service, "name")] = ramp.is_null() ? text(service, "active") : text(ramp, "to");
  }
  return colours;
}

}  // namespace

Outcome run_wait(const Invocation& call) {
  const auto condition = call.arguments.choice("for", "drained|healthy|rolled-out|settled");
  if (!condition) return tl::unexpected(condition.error());
  const auto timeout = call.arguments.duration("timeout");
  if (!timeout) return tl::unexpected(timeout.error());
  const auto colour = call.arguments.colour("colour");
  if (!colour) return tl::unexpected(colour.error());
  if (!*condition) {
    return tl::unexpected(usage_failure(
        "teal wait: --for CONDITION is missing; expected drained, healthy, rolled-out or settled",
        "teal wait --help describes the conditions"));
  }
  if (*colour && **condition != "healthy" && **condition != "rolled-out")
    return tl::unexpected(usage_failure(
        fmt::format("teal wait: --colour needs --for healthy or rolled-out, and --for is {}", **condition),
        "teal wait --help describes the conditions"));
  const auto services = selected_services(call);
  if (!services) return tl::unexpected(services.error());
  WaitFor wanted{.services = *services,
                 .condition = **condition,
                 .timeout = timeout->value_or(kDefaultWait),
                 .colour = *colour};
  if (wanted.condition == "rolled-out") {
    const auto goals = colours_to_come(call, wanted.services);
    if (!goals) return tl::unexpected(goals.error());
    for (const auto& [name, present] : *goals) {
      wanted.active[name] = colour->value_or(present);
      wanted.unchanged.insert(name);  // what was found earlier is not news
    }
  }
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
