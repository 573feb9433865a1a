// SPDX-License-Identifier: Apache-2.0
#include "control/change/judging.h"

#include <algorithm>
#include <map>
#include <utility>

namespace teal {

namespace {

// Returns whether the ramp took its last step after its colour was found bad, and before the answer.
bool has_completed(const Finding& finding, const ServiceState& state) {
  return finding.is_of_ramp && !state.ramp && state.undo && state.active == finding.tested &&
         state.flipped_by && state.flipped_by->verb == FlipVerb::kRamp;
}

bool is_judged(const ColourChange& change) {
  return change.kind == ColourChange::Kind::kShare || change.is_release;
}

// Returns the services that are judged together with this one once the plan is in force: those that a ramp
// begins with, or goes on with, or those that the publication flips.
std::vector<std::string> judged_with(const ColourChange& change, const RolloutPlan& plan,
                                     const Catalogue& catalogue) {
  std::vector<std::string> services;
  const uint64_t ramp = change.ramp ? change.ramp->id : 0;
  for (const ColourChange& each : plan.changes)
    if (is_judged(each) && each.kind == change.kind && (each.ramp ? each.ramp->id : 0) == ramp)
      services.push_back(each.name);
  if (ramp == 0) return services;
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    const bool is_moved = std::any_of(plan.changes.begin(), plan.changes.end(),
                                      [&](const ColourChange& each) { return each.service == service.id; });
    if (!is_moved && state.ramp && state.ramp->id == ramp) services.push_back(state.name);
  }
  return services;
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
  struct InForce {
    std::chrono::milliseconds bake{0};
    RolloutRules::OnBad on_bad = RolloutRules::OnBad::kTell;
  };
  const auto bake_of = [&](const std::string& name) { return catalogue.find(name)->config->rules.bake; };
  std::map<std::pair<ColourChange::Kind, uint64_t>, InForce> rules;  // by kind and ramp
  auto judged = nlohmann::ordered_json::array();
  for (const ColourChange& change : plan.changes) {
    if (!is_judged(change)) continue;
    const auto [known, is_new] = rules.try_emplace({change.kind, change.ramp ? change.ramp->id : 0});
    InForce& of_all = known->second;
    if (is_new) {
      const std::vector<std::string> services = judged_with(change, plan, catalogue);
      of_all.on_bad = most_careful(services, catalogue);
      for (const std::string& name : services) of_all.bake = std::max(of_all.bake, bake_of(name));
    }
    // A service without a bake is not judged after the full flip, and goes back with the others.
    const auto bake = bake_of(change.name).count() == 0 ? std::chrono::milliseconds(0) : of_all.bake;
    judged.push_back({{"service", change.name},
                      {"bake_seconds", std::chrono::duration<double>(bake).count()},
                      {"on_bad", kOnBadNames[static_cast<size_t>(of_all.on_bad)]}});
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
