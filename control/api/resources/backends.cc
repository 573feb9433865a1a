// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/backend
#include <fmt/format.h>

#include "control/api/resources/changes.h"

namespace teal {

namespace {

tl::expected<BackendRequest, Refusal> read_backend(BodyFields& fields) {
  BackendRequest wanted;
  fields.require("service", "the name of a service");
  fields.require("colour", "blue or green");
  fields.require("address", "ADDRESS:PORT or [ADDRESS]:PORT");
  wanted.service = fields.text("service").value_or("");
  if (const auto colour = fields.one_of("colour", kColourNames)) wanted.colour = static_cast<Colour>(*colour);
  if (const auto text = fields.text("address")) {
    const std::optional<Socket> address = parse_socket(*text);
    if (!address) fields.refuse("address", "ADDRESS:PORT or [ADDRESS]:PORT");
    wanted.address = address.value_or(Socket());
  }
  if (const auto state = fields.one_of("state", kAdminStateNames))
    wanted.state = static_cast<AdminState>(*state);
  if (fields.is_text("weight")) {
    if (fields.text("weight") != "file")
      fields.refuse("weight", "an integer, or \"file\" for the weight in the config file");
    wanted.weight = BackendRequest::Weight{};
  } else if (const auto weight = fields.number("weight")) {
    if (*weight > kMaxWeight) fields.refuse("weight", fmt::format("an integer from 0 to {}", kMaxWeight));
    wanted.weight = BackendRequest::Weight{static_cast<uint32_t>(*weight)};
  }
  if (fields.error()) return tl::unexpected(*fields.error());
  return wanted;
}

}  // namespace

Task<Answer> set_backend(Api& api, const Request& request) {
  auto body = read_change(request, {"service", "colour", "address", "state", "weight"});
  if (!body) co_return tl::unexpected(body.error());
  auto wanted = read_backend(body->fields);
  if (!wanted) co_return tl::unexpected(wanted.error());
  co_return to_answer(co_await api.verbs.set_backend(std::move(*wanted), std::move(body->options)));
}

}  // namespace teal
