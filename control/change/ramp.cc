// SPDX-License-Identifier: Apache-2.0
#include "control/change/ramp.h"

#include <algorithm>
#include <map>

namespace teal {

namespace {

// Gives the ramps of the services a pause, or none.
tl::expected<Change, Refusal> plan_paused(const char* verb, const Selection& what,
                                          const std::optional<std::string>& paused, const RolloutView& view,
                                          const Catalogue& catalogue) {
  const auto chosen = select_services(what, view);
  if (!chosen) return tl::unexpected(chosen.error());
  Change change{.verb = verb};
  auto changed = nlohmann::ordered_json::array(), unchanged = changed;
  for (const RolloutService* service : *chosen) {
    if (!service->ramp || service->ramp->paused.has_value() == paused.has_value()) {
      unchanged.push_back(service->name);
      continue;
    }
    ServiceState state = *catalogue.service(service->id);
    state.ramp->paused = paused;
    changed.push_back({{"service", service->name}, {"paused", paused.has_value()}});
    change.services.push_back(std::move(state));
  }
  change.fields = {{"changed", std::move(changed)}, {"unchanged", std::move(unchanged)}};
  return change;
}

}  // namespace

tl::expected<Change, Refusal> plan_pause(const Selection& what, const std::string& reason,
                                         const RolloutView& view, const Catalogue& catalogue) {
  return plan_paused("pause", what, reason, view, catalogue);
}

tl::expected<Change, Refusal> plan_resume(const Selection& what, const RolloutView& view,
                                          const Catalogue& catalogue) {
  return plan_paused("resume", what, std::nullopt, view, catalogue);
}

std::vector<std::vector<std::string>> RampTimers::due(const Catalogue& catalogue, Clock::Time now) {
  std::unordered_map<uint16_t, Step> seen;
  std::map<uint64_t, std::vector<std::string>> over;  // by the ramp's id
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    const std::optional<Ramp>& ramp = state.ramp;
    if (!ramp || !ramp->goes_on()) continue;
    const Step step{ramp->id, ramp->step, began(state).value_or(now)};
    if (now - step.began >= ramp->plan.every) over[ramp->id].push_back(service.config->name);
    seen.emplace(service.id, step);
  }
  steps_ = std::move(seen);
  std::vector<std::vector<std::string>> ramps;
  ramps.reserve(over.size());
  for (auto& [id, services] : over) ramps.push_back(std::move(services));
  return ramps;
}

std::optional<Clock::Time::duration> RampTimers::left(const ServiceState& service, Clock::Time now) const {
  if (!service.ramp || !service.ramp->goes_on()) return std::nullopt;
  const Clock::Time::duration spent = now - began(service).value_or(now);
  return std::max(Clock::Time::duration(service.ramp->plan.every) - spent, Clock::Time::duration(0));
}

std::optional<Clock::Time> RampTimers::began(const ServiceState& service) const {
  const auto known = steps_.find(service.id);
  const bool is_same = known != steps_.end() && known->second.ramp == service.ramp->id &&
                       known->second.step == service.ramp->step;
  return is_same ? std::optional(known->second.began) : std::nullopt;
}

}  // namespace teal
