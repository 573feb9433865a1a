// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/lock, POST /v1/unlock
#include "control/api/resources/changes.h"

namespace teal {

Task<Answer> lock(Api& api, const Request& request) {
  auto body = read_change(request, {});
  if (!body) co_return tl::unexpected(body.error());
  // Other operators need to know why changes are locked.
  body->fields.require("reason", "a string with the reason for the lock");
  if (body->fields.error()) co_return tl::unexpected(*body->fields.error());
  co_return to_answer(co_await api.verbs.lock(std::move(body->options)));
}

Task<Answer> unlock(Api& api, const Request& request) {
  auto body = read_change(request, {});
  if (!body) co_return tl::unexpected(body.error());
  if (body->fields.error()) co_return tl::unexpected(*body->fields.error());
  co_return to_answer(co_await api.verbs.unlock(std::move(body->options)));
}

}  // namespace teal
