// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

Outcome post_preview(const Invocation& call, const std::vector<std::string>& clients) {
  const std::string& service = call.arguments.positional[0];
  const auto reply = post_change(call, "/v1/preview", {{"service", service}, {"clients", clients}});
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  ChangeWords answer{.done = changes_text(reply->at("changed"), call.around.colour)};
  answer.would = "set " + answer.done;
  answer.nothing = clients.empty() ? clean(service) + " has no preview by clients"
                                   : clean(service) + " has this preview already";
  print_change(call, *reply, answer);
  return {};
}

}  // namespace

Outcome run_preview_set(const Invocation& call) {
  const auto& words = call.arguments.positional;
  return post_preview(call, std::vector<std::string>(words.begin() + 1, words.end()));
}

Outcome run_preview_clear(const Invocation& call) {
  return post_preview(call, {});
}

}  // namespace teal::cli
