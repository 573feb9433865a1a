// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/changes.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace teal {

namespace {

constexpr size_t kMaxReasonBytes = 1024;
constexpr size_t kMaxRequestIdBytes = 128;

// Returns the user of the request. A login uid counts only beside root: it is not checked, and root may name
// anybody.
tl::expected<Actor, Refusal> read_actor(const Request& request) {
  Actor actor{.uid = *request.uid};
  if (actor.uid != 0 || !request.login_uid) return actor;
  const std::string& text = *request.login_uid;
  uint32_t login = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), login);
  if (error != std::errc() || stop != text.data() + text.size())
    return tl::unexpected(
        Refusal::bad_request(fmt::format("header Teal-Login-Uid: expected a uid, got \"{}\"", text)));
  if (login == 0) return actor;
  actor.uid = login;
  actor.kind = Actor::Kind::kLogin;
  return actor;
}

bool is_request_id(const std::string& id) {
  const auto is_visible = [](unsigned char c) { return c > ' ' && c < 0x7f; };
  return !id.empty() && id.size() <= kMaxRequestIdBytes && std::all_of(id.begin(), id.end(), is_visible);
}

// FNV-1a. It only has to tell two requests of one sender apart, and it must stay the same over restarts.
uint64_t hash_of(std::string_view path, std::string_view content) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const std::string_view part : {path, content})
    for (const unsigned char c : part) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

}  // namespace

tl::expected<ChangeBody, Refusal> read_change(const Request& request,
                                              std::initializer_list<std::string_view> own) {
  // The history records the user of each change. Only a unix socket tells the user.
  if (!request.uid)
    return tl::unexpected(Refusal{403, "read_only", "changes are accepted on a unix socket only", ""});
  auto actor = read_actor(request);
  if (!actor) return tl::unexpected(actor.error());
  std::vector<std::string_view> known = own;
  known.insert(known.end(), {"if_generation", "if_revision", "reason", "dry_run", "request_id"});
  auto fields = BodyFields::parse(request.body, known);
  if (!fields) return tl::unexpected(fields.error());
  ChangeBody change{std::move(*fields), {.actor = std::move(*actor)}};
  ChangeOptions& options = change.options;
  options.client_is_gone = request.client_is_gone;
  options.if_generation = change.fields.number("if_generation");
  options.if_revision = change.fields.number("if_revision");
  options.reason = change.fields.text("reason").value_or("");
  options.dry_run = change.fields.flag("dry_run").value_or(false);
  if (options.reason.size() > kMaxReasonBytes)
    return tl::unexpected(Refusal::bad_request(fmt::format(
        "field \"reason\": expected at most {} bytes, got {}", kMaxReasonBytes, options.reason.size())));
  if (const auto id = change.fields.text("request_id")) {
    if (!is_request_id(*id))
      change.fields.refuse("request_id",
                           fmt::format("1 to {} ASCII characters without a space", kMaxRequestIdBytes));
    // A repetition may name another revision than the first request: the change that it repeats raised it.
    const std::string content =
        change.fields.text_without({"request_id", "if_generation", "if_revision", "seen_generation"});
    options.request = RequestId{*id, hash_of(request.path, content)};
  }
  return change;
}

void note_refusal(Api& api, const asio::any_io_executor& executor, const Request& request,
                  const Refusal& refusal) {
  std::optional<Actor> actor;
  if (request.uid) actor = read_actor(request).value_or(Actor{.uid = *request.uid});
  const Json body = Json::parse(request.body, nullptr, false);
  const auto reason = body.is_object() ? body.find("reason") : body.end();
  const std::string verb = request.path.substr(request.path.rfind('/') + 1),
                    why = reason != body.end() && reason->is_string() ? reason->get<std::string>() : "";
  if (!actor || api.refusals.knows_name_of(*actor)) return api.refusals.note(actor, verb, why, refusal);
  asio::co_spawn(executor, api.refusals.note_with_name(*actor, verb, why, refusal), asio::detached);
}

Selection read_selection(BodyFields& fields) {
  Selection selection;
  selection.services = fields.texts("services").value_or(std::vector<std::string>());
  selection.group = fields.text("group");
  return selection;
}

tl::expected<RolloutRequest, Refusal> read_forward(BodyFields& fields, RolloutRequest::Verb verb) {
  RolloutRequest wanted{.verb = verb, .what = read_selection(fields)};
  fields.require("to", "blue or green");
  const std::optional<std::string> to = fields.text("to");
  if (fields.error()) return tl::unexpected(*fields.error());
  const auto colour = parse_colour("to", *to);
  if (!colour) return tl::unexpected(colour.error());
  wanted.to = *colour;
  wanted.force = fields.flag("force").value_or(false);
  return wanted;
}

Answer to_answer(const ChangeExecutor::Result& result) {
  if (!result) return tl::unexpected(result.error());
  return as_json(answer_json(*result));
}

}  // namespace teal
