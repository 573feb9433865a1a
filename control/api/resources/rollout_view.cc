// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/rollout_view.h"

#include "control/change/rollout_phase.h"

namespace teal {

namespace {

// The share of new flows in percent. A share of 1/10,000 is 0.01.
double percent(uint16_t share) {
  return static_cast<double>(share) * 100 / kShareOne;
}

// The stream that says most may be of another service.
std::string text_of(const TrialView& trial, const ServiceState& state) {
  const std::string line = line_of(trial.verdict);
  return trial.worst == state.name ? line : trial.worst + ": " + line;
}

Json view_figures(const Figures& figures) {
  return {{"flows", figures.begun}, {"failed", figures.failed}};
}

Json view_signal(const SignalFigures& signal, Colour tested) {
  const Figures &blue = signal.by_colour[0], &green = signal.by_colour[1];
  const bool green_is_tested = tested == Colour::kGreen;
  return {{"signal", name_of(signal.signal)},
          {"blue", view_figures(blue)},
          {"green", view_figures(green)},
          {"text",
           line_of(signal.signal, tested, green_is_tested ? green : blue, green_is_tested ? blue : green)}};
}

// Null: they go on.
const char* what_ramps_wait_for(const Api& api) {
  if (api.executor.catalogue().inventory().lock) return "the end of the lock";
  if (!api.recorder.trouble().empty()) return "the repair of the disk";
  return api.publisher.dataplane_running() ? nullptr : "the dataplane";
}

}  // namespace

Json view_ramp(const Api& api, const ServiceState& state) {
  if (!state.ramp) return nullptr;
  const Ramp& ramp = *state.ramp;
  Json steps = Json::array();
  for (const uint16_t share : ramp.plan.steps) steps.push_back(percent(share));
  const auto left = api.upkeep.ramps().left(state, api.clock.now());
  const char* const waits_for = what_ramps_wait_for(api);
  const bool goes_on = left && waits_for == nullptr;
  return {{"id", ramp.id},
          {"to", name_of(other(state.active))},
          {"phase", name_of(phase_of(state, api.upkeep.trials(), false))},
          {"share_percent", percent(ramp.share())},
          {"step", ramp.step + 1},
          {"steps_percent", std::move(steps)},
          {"next_percent", percent(ramp.next_share())},
          {"seconds_to_next", goes_on ? Json(std::chrono::duration<double>(*left).count()) : Json(nullptr)},
          {"every_seconds", std::chrono::duration<double>(ramp.plan.every).count()},
          {"manual", ramp.plan.manual},
          {"paused", ramp.paused ? Json(*ramp.paused) : Json(nullptr)},
          {"waits_for", waits_for != nullptr ? Json(waits_for) : Json(nullptr)}};
}

Json view_trial(const Api& api, const ServiceState& state) {
  const std::optional<TrialView> trial = api.upkeep.trials().view_of(state.id);
  if (!trial) return nullptr;
  Json signals = Json::array();
  for (const SignalFigures& signal : trial->signals) signals.push_back(view_signal(signal, trial->tested));
  return {{"rollout", trial->rollout},
          {"kind", trial->is_of_ramp ? "ramp" : "flip"},
          {"tested", name_of(trial->tested)},
          {"bake_seconds_left", trial->bake_seconds_left ? Json(*trial->bake_seconds_left) : Json(nullptr)},
          {"flows", trial->seen_in_step},
          {"flows_needed", trial->is_of_ramp ? Json(Trials::kFewestOutcomes) : Json(nullptr)},
          {"judgement", name_of(trial->verdict.judgement)},
          {"text", text_of(*trial, state)},
          {"log10_value", log10_value(trial->verdict)},
          {"signals", std::move(signals)}};
}

Json view_finding(const Api& api, const ServiceState& state) {
  const Finding* finding = api.upkeep.trials().latest(state.name);
  if (finding == nullptr) return nullptr;
  return {{"rollout", finding->rollout},
          {"at", rfc3339(finding->at_ms)},
          {"judgement", name_of(finding->verdict.judgement)},
          {"action", finding->action.empty() ? Json(nullptr) : Json(finding->action)},
          {"text", text_of(*finding)},
          {"evidence", evidence_json(*finding)}};
}

}  // namespace teal
