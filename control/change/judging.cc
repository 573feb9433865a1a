// SPDX-License-Identifier: Apache-2.0
#include "control/change/judging.h"

#include <algorithm>

namespace teal {

namespace {

// Returns whether the ramp took its last step after its colour was found bad, and before the answer.
bool has_completed(const Finding& finding, const ServiceState& state) {
  return finding.is_of_ramp && !state.ramp && state.undo && state.active == finding.tested &&
         state.flipped_by && state.flipped_by->verb == FlipVerb::kRamp;
}

}  // namespace

std::vector<std::string> still_on(const Finding& finding, const Catalogue& catalogue) {
  std::vector<std::string> services;
  for (const std::string& name : finding.services) {
    const CatalogueService* service = catalogue.find(name);
    if (service == nullptr) continue;
    const ServiceState& state = catalogue.state(*service);
    const uint64_t rollout = state.ramp ? state.ramp->id : state.undo ? state.flip_generation : 0;
    if (rollout == finding.rollout || has_completed(finding, state)) services.push_back(name);
  }
  return services;
}

void make_answer(const Finding& finding, const Catalogue& catalogue, Change& change) {
  change.despite_lock = change.despite_disk = true;
  for (auto& entry : change.fields.at("changed")) entry["evidence"] = evidence_json(finding);
  for (ServiceState& state : change.services) {
    if (state.ramp) continue;  // paused
    const RolloutRules& rules = catalogue.find(state.name)->config->rules;
    if (rules.after_rollback == RolloutRules::AfterRollback::kReset)
      state.drain_then = DrainConfig::Then::kReset;
    if (rules.after_rollback_timeout) state.drain_timeout = rules.after_rollback_timeout;
  }
}

nlohmann::ordered_json judged_json(const RolloutPlan& plan, const Catalogue& catalogue) {
  auto judged = nlohmann::ordered_json::array();
  for (const ColourChange& change : plan.changes) {
    if (change.kind != ColourChange::Kind::kShare && !change.is_release) continue;
    const RolloutRules& rules = catalogue.find(change.name)->config->rules;
    judged.push_back({{"service", change.name},
                      {"bake_seconds", std::chrono::duration<double>(rules.bake).count()},
                      {"on_bad", kOnBadNames[static_cast<size_t>(rules.on_bad)]}});
  }
  return judged;
}

bool are_only_told(const std::vector<std::string>& services, const Catalogue& catalogue) {
  return std::all_of(services.begin(), services.end(), [&](const std::string& name) {
    return catalogue.find(name)->config->rules.on_bad == RolloutRules::OnBad::kTell;
  });
}

RolloutRules::OnFew on_few_of(const std::vector<std::string>& services, const Catalogue& catalogue) {
  using OnFew = RolloutRules::OnFew;
  const auto any = [&](OnFew rule) {
    return std::any_of(services.begin(), services.end(), [&](const std::string& name) {
      return catalogue.find(name)->config->rules.on_few == rule;
    });
  };
  if (any(OnFew::kPause)) return OnFew::kPause;
  return any(OnFew::kWait) ? OnFew::kWait : OnFew::kGo;
}

}  // namespace teal
