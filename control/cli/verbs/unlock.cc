// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "control/cli/invocation/change.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {

Outcome run_unlock(const Invocation& call) {
  const auto reply = post_change(call, "/v1/unlock", nlohmann::json::object());
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  print_change(
      call, *reply,
      {.would = "unlock: changes would be taken again", .sentence = "unlocked: changes are taken again"});
  return {};
}

}  // namespace teal::cli
