// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/ramp, /v1/next, /v1/abort, /v1/pause, /v1/resume
#include "control/api/resources/changes.h"
#include "control/config/config_rollout.h"

namespace teal {

namespace {

void read_ramp_steps(BodyFields& fields, RolloutRequest::Steps& plan) {
  if (const auto texts = fields.texts("steps")) {
    auto steps = parse_steps(*texts);
    if (steps) plan.steps = std::move(*steps);
    if (!steps) fields.report("steps", steps.error());
  }
  plan.every = fields.duration("every", kMinStepTime, kMaxStepTime);
  plan.manual = fields.flag("manual");
}

tl::expected<RolloutRequest, Refusal> read_ramp_request(BodyFields& fields) {
  auto wanted = read_forward(fields, RolloutRequest::Verb::kRamp);
  if (!wanted) return wanted;
  read_ramp_steps(fields, wanted->ramp);
  if (fields.error()) return tl::unexpected(*fields.error());
  return wanted;
}

// Reads a request that names services and nothing else.
Task<Answer> roll(Api& api, const Request& request, RolloutRequest::Verb verb) {
  auto body = read_change(request, {"services", "group", "force"});
  if (!body) co_return tl::unexpected(body.error());
  RolloutRequest wanted{.verb = verb, .what = read_selection(body->fields)};
  wanted.force = body->fields.flag("force").value_or(false);
  if (body->fields.error()) co_return tl::unexpected(*body->fields.error());
  co_return to_answer(co_await api.verbs.roll(std::move(wanted), std::move(body->options)));
}

Task<Answer> pause_or_resume(Api& api, const Request& request,
                             Task<Verbs::Result> (Verbs::*verb)(Selection, ChangeOptions)) {
  auto body = read_change(request, {"services", "group"});
  if (!body) co_return tl::unexpected(body.error());
  Selection what = read_selection(body->fields);
  if (body->fields.error()) co_return tl::unexpected(*body->fields.error());
  co_return to_answer(co_await (api.verbs.*verb)(std::move(what), std::move(body->options)));
}

}  // namespace

Task<Answer> begin_ramp(Api& api, const Request& request) {
  auto body = read_change(request, {"services", "group", "to", "steps", "every", "manual", "force"});
  if (!body) co_return tl::unexpected(body.error());
  auto wanted = read_ramp_request(body->fields);
  if (!wanted) co_return tl::unexpected(wanted.error());
  co_return to_answer(co_await api.verbs.roll(std::move(*wanted), std::move(body->options)));
}

Task<Answer> next_step(Api& api, const Request& request) {
  co_return co_await roll(api, request, RolloutRequest::Verb::kNext);
}

Task<Answer> abort_ramp(Api& api, const Request& request) {
  co_return co_await roll(api, request, RolloutRequest::Verb::kAbort);
}

Task<Answer> pause_ramp(Api& api, const Request& request) {
  co_return co_await pause_or_resume(api, request, &Verbs::pause);
}

Task<Answer> resume_ramp(Api& api, const Request& request) {
  co_return co_await pause_or_resume(api, request, &Verbs::resume);
}

}  // namespace teal
