// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
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
  ChangeWords words{.would = "unlock: changes would be taken again", .nothing = "changes are not locked"};
  if (!part(*reply, "removed").is_null()) words.sentence = "unlocked: changes are taken again";
  print_change(call, *reply, words);
  return {};
}

}  // namespace teal::cli
