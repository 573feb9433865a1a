// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/flip, POST /v1/rollback
#include <fmt/format.h>

#include "control/api/fields.h"
#include "control/api/router.h"

namespace teal {

namespace {

constexpr size_t kLongestReason = 1024;

const char* name_of(Colour colour) {
  return kColourNames[static_cast<size_t>(colour)];
}

tl::expected<RolloutRequest, Refusal> read_request(RolloutRequest::Verb verb, const std::string& body) {
  const bool is_flip = verb == RolloutRequest::Verb::kFlip;
  auto fields = is_flip ? BodyFields::parse(body, {"services", "group", "to", "if_generation", "reason"})
                        : BodyFields::parse(body, {"services", "group", "if_generation", "reason"});
  if (!fields) return tl::unexpected(fields.error());
  RolloutRequest request{.verb = verb};
  request.services = fields->texts("services").value_or(std::vector<std::string>());
  request.group = fields->text("group");
  request.if_generation = fields->number("if_generation");
  request.reason = fields->text("reason").value_or("");
  const std::optional<std::string> to = is_flip ? fields->text("to") : std::nullopt;
  if (fields->error()) return tl::unexpected(*fields->error());
  if (request.reason.size() > kLongestReason)
    return tl::unexpected(Refusal::bad_request(
        fmt::format("field \"reason\": {} bytes, at most {}", request.reason.size(), kLongestReason)));
  if (is_flip) {
    if (!to) return tl::unexpected(Refusal::bad_request("field \"to\" is missing, expected blue or green"));
    const auto colour = parse_colour("to", *to);
    if (!colour) return tl::unexpected(colour.error());
    request.to = *colour;
  }
  return request;
}

Json to_json(const ChangeResult& result) {
  Json changed = Json::array();
  for (const TargetChange& change : result.changed)
    changed.push_back({{"service", change.name}, {"from", name_of(change.from)}, {"to", name_of(change.to)}});
  return {{"generation", result.generation},
          {"changed", changed},
          {"unchanged", result.unchanged},
          {"workers",
           {{"live", result.adoption.live},
            {"adopted", result.adoption.adopted},
            {"asleep", result.adoption.asleep}}},
          {"slowest_us", result.adoption.slowest_us},
          {"dataplane_running", result.dataplane_running},
          {"warnings", result.warnings}};
}

Task<Answer> carry_out(RolloutRequest::Verb verb, Api& api, const Request& request) {
  const auto rollout = read_request(verb, request.body);
  if (!rollout) co_return tl::unexpected(rollout.error());
  const Switcher::Result result = co_await api.switcher.change(*rollout, request.uid);
  if (!result) co_return tl::unexpected(result.error());
  co_return to_json(*result);
}

}  // namespace

Task<Answer> flip(Api& api, const Request& request) {
  return carry_out(RolloutRequest::Verb::kFlip, api, request);
}
Task<Answer> roll_back(Api& api, const Request& request) {
  return carry_out(RolloutRequest::Verb::kRollback, api, request);
}

}  // namespace teal
