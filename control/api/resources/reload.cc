// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/reload
#include "control/api/resources/changes.h"

namespace teal {

Task<Answer> reload(Api& api, const Request& request) {
  auto body = read_change(request, {"force"});
  if (!body) co_return tl::unexpected(body.error());
  const bool force = body->fields.flag("force").value_or(false);
  if (body->fields.error()) co_return tl::unexpected(*body->fields.error());
  co_return to_answer(co_await api.verbs.reload(std::move(body->options), force));
}

}  // namespace teal
