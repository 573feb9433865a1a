// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {

Outcome run_lock(const Invocation& call) {
  if (call.arguments.value("reason").value_or("").empty()) {
    return tl::unexpected(
        usage_failure("teal lock: --reason TEXT is missing; refused operators see the reason",
                      "teal lock --reason \"release freeze until Monday\""));
  }
  const auto reply = post_change(call, "/v1/lock", nlohmann::json::object());
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  const auto& lock = part(*reply, "lock");
  ChangeWords words{.would = "lock: all changes would be refused until teal unlock"};
  words.sentence =
      (lock.is_null() ? "locked" : lock_text(lock)) + "\nall changes are refused until teal unlock";
  print_change(call, *reply, words);
  return {};
}

}  // namespace teal::cli
