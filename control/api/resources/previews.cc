// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/preview
#include "control/api/resources/changes.h"

namespace teal {

namespace {

tl::expected<PreviewRequest, Refusal> read_preview(BodyFields& fields) {
  PreviewRequest wanted;
  fields.require("service", "the name of a service");
  fields.require("clients", "a list of networks");
  wanted.service = fields.text("service").value_or("");
  for (const std::string& text : fields.texts("clients", 0).value_or(std::vector<std::string>())) {
    const auto client = parse_prefix(text);
    if (client)
      wanted.clients.push_back(*client);
    else
      fields.report("clients", "has a wrong element: " + client.error());
  }
  if (fields.error()) return tl::unexpected(*fields.error());
  return wanted;
}

}  // namespace

Task<Answer> set_preview(Api& api, const Request& request) {
  auto body = read_change(request, {"service", "clients"});
  if (!body) co_return tl::unexpected(body.error());
  auto wanted = read_preview(body->fields);
  if (!wanted) co_return tl::unexpected(wanted.error());
  co_return to_answer(co_await api.verbs.set_preview(std::move(*wanted), std::move(body->options)));
}

}  // namespace teal
