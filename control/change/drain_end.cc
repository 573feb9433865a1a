// SPDX-License-Identifier: Apache-2.0
#include "control/change/drain_end.h"

#include <algorithm>

#include "control/change/drain.h"
#include "control/loop/wall_clock.h"

namespace teal {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kTickMs = static_cast<int64_t>(kTickNs / 1'000'000);

bool loses_flows(const CatalogueService& service, Colour idle, const Catalogue& after,
                 const Publisher& publisher) {
  const auto leaves = [&](const PoolMember& member) {
    const BackendState* then = after.backend(member.id);
    return (then == nullptr || then->retired) && publisher.flows(member.id, idle).live != 0;
  };
  return std::any_of(service.pools.begin(), service.pools.end(),
                     [&](const auto& pool) { return std::any_of(pool.begin(), pool.end(), leaves); });
}

// Returns how many of these flows are left once those of backends in maint are reset. `flows_of_backend`
// counts the flows of one.
template <typename FlowsOfBackend>
uint64_t those_that_stay(uint64_t flows, const CatalogueService& service, Colour colour,
                         const FlowsOfBackend& flows_of_backend) {
  for (const PoolMember& member : service.pools[static_cast<int>(colour)])
    if (member.admin == AdminState::kMaint) flows -= std::min<uint64_t>(flows, flows_of_backend(member.id));
  return flows;
}

}  // namespace

std::chrono::milliseconds age_of_flip(const TrafficSplit& split, uint64_t now_tick) {
  return std::chrono::milliseconds(age_in_ticks(split.flipped_at_tick, now_tick) * kTickMs);
}

Deadline deadline_of(const TrafficSplit& split, std::chrono::milliseconds timeout, const Clock& clock) {
  const std::chrono::milliseconds left = timeout - age_of_flip(split, clock.tick());
  return {std::max(std::chrono::duration<double>(left).count(), 0.0), clock.wall_ms() + left.count()};
}

Json drain_end_json(const std::string& service, Colour colour, uint64_t flows, const Deadline& deadline,
                    DrainConfig::Then then) {
  return {{"service", service},
          {"colour", name_of(colour)},
          {"flows", flows},
          {"deadline", rfc3339(deadline.at_ms)},
          {"seconds_left", deadline.seconds_left},
          {"then", then_name(then)},
          {"resets", then == DrainConfig::Then::kReset ? flows : 0}};
}

Json drains_begun(std::span<const ColourChange> changes, const Catalogue& catalogue,
                  const Publisher& publisher, const Clock& clock) {
  Json drains = Json::array();
  for (const ColourChange& change : changes) {
    if (change.kind == ColourChange::Kind::kShare) continue;  // the idle colour takes new flows
    const CatalogueService& service = *catalogue.find(change.name);
    const uint64_t flows =
        those_that_stay(flows_of(service, change.from, publisher).live, service, change.from,
                        [&](uint16_t backend) { return publisher.flows(backend, change.from).live; });
    if (flows == 0) continue;
    const DrainConfig& drain =
        service.config->drain;  // a flip forgets what commands set for the drain before
    const Deadline deadline{std::chrono::duration<double>(drain.timeout).count(),
                            clock.wall_ms() + drain.timeout.count()};
    drains.push_back(drain_end_json(change.name, change.from, flows, deadline, drain.then));
  }
  return drains;
}

Json drains_in_force(const std::vector<std::string>& services, const Catalogue& catalogue,
                     const Publisher& publisher, const Clock& clock) {
  Json drains = Json::array();
  const TrafficSplits* splits = publisher.splits();
  for (const std::string& name : services) {
    const CatalogueService* service = catalogue.find(name);
    if (service == nullptr || splits == nullptr) continue;
    const ServiceState& state = catalogue.state(*service);
    const Colour idle = other(state.active);
    const uint64_t flows = those_that_stay(
        draining_of(*service, idle, state.flip_generation, publisher).live, *service, idle,
        [&](uint16_t backend) { return publisher.draining(backend, idle, state.flip_generation); });
    if (state.flip_generation == 0 || flows == 0) continue;
    const DrainConfig drain = effective_drain(*service->config, state);
    drains.push_back(drain_end_json(
        name, idle, flows, deadline_of(splits->services[service->id], drain.timeout, clock), drain.then));
  }
  return drains;
}

Json drains_after_reload(const Change& reload, const Catalogue& before, const Publisher& publisher,
                         const Clock& clock) {
  if (reload.config == nullptr || reload.inventory == nullptr) return Json::array();
  const Catalogue after(*reload.config, *reload.inventory);
  std::vector<std::string> changed;
  for (const CatalogueService& service : before.services()) {
    const ServiceState& state = before.state(service);
    const ServiceState* then = after.service(service.id);
    if (then == nullptr || then->retired) continue;
    const CatalogueService& kept = *after.find(then->name);  // a reload may rename it
    if (!(effective_drain(*service.config, state) == effective_drain(*kept.config, *then)) ||
        loses_flows(service, other(state.active), after, publisher))
      changed.push_back(then->name);
  }
  return drains_in_force(changed, after, publisher, clock);
}

}  // namespace teal
