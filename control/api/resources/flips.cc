// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/flip, POST /v1/rollback
#include "control/api/resources/changes.h"

namespace teal {

namespace {

tl::expected<RolloutRequest, Refusal> read_flip(BodyFields& fields) {
  auto wanted = read_forward(fields, RolloutRequest::Verb::kFlip);
  if (!wanted) return wanted;
  wanted->now = fields.flag("now").value_or(false);
  if (fields.error()) return tl::unexpected(*fields.error());
  return wanted;
}

tl::expected<RolloutRequest, Refusal> read_rollback(BodyFields& fields) {
  RolloutRequest wanted{.verb = RolloutRequest::Verb::kRollback, .what = read_selection(fields)};
  wanted.what.all = fields.flag("all").value_or(false);
  wanted.to_generation = fields.number("to_generation");
  wanted.seen_generation = fields.number("seen_generation");
  if (fields.error()) return tl::unexpected(*fields.error());
  return wanted;
}

}  // namespace

Task<Answer> flip(Api& api, const Request& request) {
  auto body = read_change(request, {"services", "group", "to", "force", "now"});
  if (!body) co_return tl::unexpected(body.error());
  auto wanted = read_flip(body->fields);
  if (!wanted) co_return tl::unexpected(wanted.error());
  co_return to_answer(co_await api.verbs.roll(std::move(*wanted), std::move(body->options)));
}

Task<Answer> roll_back(Api& api, const Request& request) {
  auto body = read_change(request, {"services", "group", "all", "to_generation", "seen_generation"});
  if (!body) co_return tl::unexpected(body.error());
  auto wanted = read_rollback(body->fields);
  if (!wanted) co_return tl::unexpected(wanted.error());
  co_return to_answer(co_await api.verbs.roll(std::move(*wanted), std::move(body->options)));
}

}  // namespace teal
