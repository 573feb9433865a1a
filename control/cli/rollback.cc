// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "control/cli/change.h"

namespace teal::cli {

Outcome run_rollback(const Invocation& call) {
  const auto request = change_request(call, "rollback");
  if (!request) return tl::unexpected(request.error());
  return post_change(call, "/v1/rollback", *request);
}

}  // namespace teal::cli
