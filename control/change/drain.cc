// SPDX-License-Identifier: Apache-2.0
#include "control/change/drain.h"

#include <algorithm>

#include <fmt/format.h>

#include "control/change/drain_end.h"
#include "control/loop/wall_clock.h"
#include "dataplane/config/config_reader.h"

namespace teal {

namespace {

using namespace std::chrono_literals;

Refusal nothing_set() {
  return Refusal::bad_request("the request sets neither \"timeout\" nor \"then\", so it changes nothing");
}

// The command that restores the drain, for a hint.
std::string former_drain(const std::string& service, const DrainConfig& before) {
  return fmt::format("teal drain {} --timeout {} --then {}", service, duration_text(before.timeout),
                     then_name(before.then));
}

}  // namespace

const char* drain_state_name(DrainView::State state) {
  switch (state) {
    case DrainView::State::kDraining:
      return "draining";
    case DrainView::State::kOverdue:
      return "overdue";
    case DrainView::State::kResetting:
      return "resetting";
  }
  return "";
}

const char* then_name(DrainConfig::Then then) {
  return then == DrainConfig::Then::kReset ? "reset" : "wait";
}

std::optional<DrainView> drain_of(const CatalogueService& service, const Catalogue& catalogue,
                                  const Publisher& publisher, const DrainTrends& trends, const Clock& clock) {
  const ServiceState& state = catalogue.state(service);
  if (state.flip_generation == 0) return std::nullopt;
  DrainView view;
  view.colour = other(state.active);
  view.flip_generation = state.flip_generation;
  const ColourFlows left = draining_of(service, view.colour, state.flip_generation, publisher);
  if (left.live == 0 || publisher.splits() == nullptr) return std::nullopt;
  view.flows = left.live;
  view.closing = left.closing;
  view.backends = left.backends;
  const DrainConfig drain = effective_drain(*service.config, state);
  view.timeout = drain.timeout;
  view.then = drain.then;

  const TrafficSplit& split = publisher.splits()->services[service.id];
  const Deadline deadline = deadline_of(split, drain.timeout, clock);
  view.seconds_left = deadline.seconds_left;
  view.deadline_ms = deadline.at_ms;
  if (view.seconds_left <= 0)
    view.state = split.reset_before != 0 ? DrainView::State::kResetting : DrainView::State::kOverdue;

  if (!publisher.dataplane_running()) return view;
  view.estimate_seconds = trends.seconds_to_end(service.id);
  if (view.then == DrainConfig::Then::kReset) {
    const double by_reset = view.seconds_left + static_cast<double>(view.flows) /
                                                    static_cast<double>(catalogue.config().reset_rate);
    view.estimate_seconds = std::min(view.estimate_seconds.value_or(by_reset), by_reset);
  }
  return view;
}

tl::expected<Change, Refusal> plan_drain(const DrainRequest& request, const RolloutView& view,
                                         const Catalogue& catalogue, const Publisher& publisher,
                                         const Clock& clock) {
  if (!request.timeout && !request.then) return tl::unexpected(nothing_set());
  if (request.from_now && !request.timeout)
    return tl::unexpected(Refusal::bad_request("\"from_now\" needs \"timeout\""));
  const auto chosen = select_services(request.what, view);
  if (!chosen) return tl::unexpected(chosen.error());
  Change change{.verb = "drain"};
  auto changed = nlohmann::ordered_json::array(), unchanged = changed, nothing_drains = changed,
       drains = changed;
  for (const RolloutService* named : *chosen) {
    const CatalogueService& service = *catalogue.find(named->name);
    ServiceState state = catalogue.state(service);
    const Colour idle = other(state.active);
    const uint64_t flows = draining_of(service, idle, state.flip_generation, publisher).live;
    if (state.flip_generation == 0 || flows == 0 || publisher.splits() == nullptr) {
      unchanged.push_back(named->name);
      nothing_drains.push_back(named->name);
      continue;
    }
    const TrafficSplit& split = publisher.splits()->services[service.id];
    const DrainConfig before = effective_drain(*service.config, state);
    DrainConfig after = before;
    if (request.timeout)
      after.timeout = *request.timeout + (request.from_now ? age_of_flip(split, clock.tick()) : 0ms);
    after.then = request.then.value_or(before.then);
    const Deadline deadline = deadline_of(split, after.timeout, clock);
    drains.push_back(drain_end_json(named->name, idle, flows, deadline, after.then));
    if (after == before) {
      unchanged.push_back(named->name);
      continue;
    }
    changed.push_back({{"service", named->name},
                       {"timeout_seconds", std::chrono::duration<double>(after.timeout).count()},
                       {"deadline", rfc3339(deadline.at_ms)},
                       {"then", then_name(after.then)}});
    change.way_back = change.services.empty() ? former_drain(named->name, before)
                                              : "teal drain SERVICE --timeout TIME --then wait|reset";
    state.drain_timeout = after.timeout;
    state.drain_then = after.then;
    change.services.push_back(std::move(state));
  }
  change.fields = {{"changed", std::move(changed)},
                   {"unchanged", std::move(unchanged)},
                   {"nothing_drains", std::move(nothing_drains)},
                   {"drains", std::move(drains)}};
  return change;
}

Change plan_overdue_resets(const Catalogue& catalogue, const Publisher& publisher, uint64_t now_tick) {
  Change change{.verb = "reset"};
  change.is_reset = true;
  change.despite_disk = change.despite_lock = true;
  nlohmann::ordered_json changed = nlohmann::ordered_json::array();
  if (publisher.splits() == nullptr) return change;
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    const TrafficSplit& split = publisher.splits()->services[service.id];
    if (state.flip_generation == 0 || split.reset_before != 0 || is_draining(split, now_tick) ||
        effective_drain(*service.config, state).then != DrainConfig::Then::kReset)
      continue;
    const ColourFlows left = draining_of(service, other(state.active), state.flip_generation, publisher);
    if (left.live == 0) continue;
    changed.push_back(
        {{"service", state.name}, {"colour", name_of(other(state.active))}, {"flows", left.live}});
    change.services.push_back(state);
  }
  change.fields = {{"changed", std::move(changed)}};
  return change;
}

}  // namespace teal
