// SPDX-License-Identifier: Apache-2.0
#include "control/change/reload_plan.h"

#include <map>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "control/change/drain.h"
#include "control/config/config_changes.h"
#include "control/config/config_check.h"
#include "dataplane/config/config_reader.h"

namespace teal {

namespace {

using Json = nlohmann::ordered_json;

class PlanLists {
 public:
  void add(const char* list, Json entry) { json_[list].push_back(std::move(entry)); }
  Json take() { return std::move(json_); }

 private:
  Json json_ = {{"added", Json::array()},
                {"changed", Json::array()},
                {"retired", Json::array()},
                {"restart", Json::array()}};
};

std::string counted(size_t count, const char* what) {
  return fmt::format("{} {} backend{}", count, what, count == 1 ? "" : "s");
}

std::string drain_text(const DrainConfig& drain) {
  return fmt::format("{}, then {}, udp {}", duration_text(drain.timeout), then_name(drain.then),
                     drain.udp == DrainConfig::Udp::kCut ? "cut" : "stick");
}

std::string status_text(const HealthCheck& check) {
  return check.least_status == check.most_status
             ? fmt::format("status {}", check.least_status)
             : fmt::format("status {}-{}", check.least_status, check.most_status);
}

// Names the keys of a check that a reload changes, with their values: "interval 1s -> 2s".
std::string check_change(const std::optional<HealthCheck>& before, const std::optional<HealthCheck>& after) {
  if (!before) return fmt::format("check none -> {}", name_of(after->kind));
  if (!after) return fmt::format("check {} -> none", name_of(before->kind));
  std::vector<std::string> keys;
  const auto compare = [&](const char* key, const auto& old, const auto& now) {
    if (old != now) keys.push_back(fmt::format("{} {} -> {}", key, old, now));
  };
  const auto name = [&](const char* key, bool differs) {  // of a long text, only the key
    if (differs) keys.emplace_back(key);
  };
  const auto port = [](const HealthCheck& check) {
    return check.port ? std::to_string(*check.port) : std::string("of the backend");
  };
  compare("kind", std::string(name_of(before->kind)), std::string(name_of(after->kind)));
  compare("port", port(*before), port(*after));
  name("path", before->path != after->path);
  name("host", before->host != after->host);
  if (const std::string old = status_text(*before), now = status_text(*after); old != now)
    keys.push_back(fmt::format("{} -> {}", old, now));
  name("match", before->match != after->match);
  name("send", before->send != after->send);
  name("expect", before->expect != after->expect);
  name("command", before->command != after->command);
  compare("interval", duration_text(before->interval), duration_text(after->interval));
  compare("timeout", duration_text(before->timeout), duration_text(after->timeout));
  compare("rise", before->rise, after->rise);
  compare("fall", before->fall, after->fall);
  return "check: " + listed(keys);
}

std::vector<std::string> health_changes(const HealthRules& before, const HealthRules& after) {
  std::vector<std::string> changes;
  const auto add = [&](const char* key, const std::string& from, const std::string& to) {
    if (from != to) changes.push_back(fmt::format("{} {} -> {}", key, from, to));
  };
  const auto is_reset = [](const HealthRules& of) { return of.on_down == HealthRules::OnDown::kReset; };
  const auto rejects = [](const HealthRules& of) { return of.empty == HealthRules::Empty::kReject; };
  add("on_down", is_reset(before) ? "reset" : "keep", is_reset(after) ? "reset" : "keep");
  add("slow_start", duration_text(before.slow_start), duration_text(after.slow_start));
  add("panic", std::to_string(before.panic), std::to_string(after.panic));
  add("empty", rejects(before) ? "reject" : "serve", rejects(after) ? "reject" : "serve");
  add("eject", eject_text(before.eject), eject_text(after.eject));
  return changes;
}

using Weights = std::map<std::string, uint32_t>;  // by socket

Weights weights_of(const std::vector<BackendConfig>& pool) {
  Weights weights;
  for (const BackendConfig& backend : pool) weights.emplace(to_string(backend.socket), backend.weight);
  return weights;
}

using ServicesByVip = std::unordered_map<Socket, const ServiceState*, SocketHash>;

ServicesByVip services_by_vip(const Inventory& inventory) {
  ServicesByVip services;
  for (const ServiceState& service : inventory.services)
    if (!service.retired) services.emplace(service.vip, &service);
  return services;
}

// The sockets that belong to one service before a reload and to another one after it. Flows cannot follow: an
// entry belongs to its service.
class Moves {
 public:
  Moves(const Inventory& held, const Inventory& renumbered)
      : held_(held), old_vips_(services_by_vip(held)), new_vips_(services_by_vip(renumbered)) {
    const BackendsBySocket present = backends_by_socket(renumbered);
    for (const auto& [socket, backend] : backends_by_socket(held)) {
      const auto now = present.find(socket);
      if (now != present.end() && now->second->service != backend->service) moved_.emplace(socket, backend);
    }
  }

  // The backend as it was in its former service; null: it did not move.
  const BackendState* moved(const Socket& socket) const {
    const auto found = moved_.find(socket);
    return found == moved_.end() ? nullptr : found->second;
  }
  std::string former_service(const BackendState& moved) const { return held_.service(moved.service)->name; }
  // Return the other service that had this VIP before, or that has it now; null without one.
  const ServiceState* vip_was_of(const ServiceState& service) const { return another(old_vips_, service); }
  const ServiceState* vip_taken_by(const ServiceState& service) const { return another(new_vips_, service); }

  // The flows of the backends that a service had, without those that moved.
  uint64_t flows_of(uint16_t service, const FlowsOfBackend& flows) const {
    uint64_t sum = 0;
    for (const BackendState& backend : held_.backends)
      if (backend.service == service && (backend.retired || moved(backend.socket) == nullptr))
        sum += flows(backend.id);
    return sum;
  }

 private:
  static const ServiceState* another(const ServicesByVip& services, const ServiceState& service) {
    const auto found = services.find(service.vip);
    return found == services.end() || found->second->id == service.id ? nullptr : found->second;
  }

  const Inventory& held_;
  ServicesByVip old_vips_, new_vips_;
  BackendsBySocket moved_;
};

Json backend_entry(const std::string& service, size_t colour, const std::string& address,
                   std::string detail) {
  return {{"kind", "backend"},
          {"service", service},
          {"colour", kColourNames[colour]},
          {"address", address},
          {"detail", std::move(detail)}};
}

void compare_pools(const ServiceConfig& before, const ServiceConfig& after, const Moves& moves,
                   PlanLists& plan) {
  for (size_t colour = 0; colour < kColours; ++colour) {
    const Weights old_weights = weights_of(before.pools[colour]), weights = weights_of(after.pools[colour]);
    const Weights elsewhere = weights_of(after.pools[1 - colour]);
    for (const BackendConfig& backend : after.pools[colour]) {
      const std::string address = to_string(backend.socket);
      const auto known = old_weights.find(address);
      if (known == old_weights.end()) {
        if (moves.moved(backend.socket) == nullptr)
          plan.add("added",
                   backend_entry(after.name, colour, address, fmt::format("weight {}", backend.weight)));
      } else if (known->second != backend.weight) {
        plan.add("changed", backend_entry(after.name, colour, address,
                                          fmt::format("weight {} -> {}", known->second, backend.weight)));
      }
    }
    for (const auto& [address, weight] : old_weights) {
      if (!weights.contains(address) && elsewhere.contains(address))
        plan.add("changed", backend_entry(after.name, colour, address,
                                          fmt::format("leaves {}, stays in {}", kColourNames[colour],
                                                      kColourNames[1 - colour])));
    }
  }
}

// Backends that come from another service, with the flows that they lose there.
void tell_moved_backends(const ServiceConfig& after, const Moves& moves, const FlowsOfBackend& flows,
                         PlanLists& plan) {
  std::unordered_set<Socket, SocketHash> told;  // a backend of both colours has one cost
  for (size_t colour = 0; colour < kColours; ++colour) {
    for (const BackendConfig& backend : after.pools[colour]) {
      const BackendState* moved = moves.moved(backend.socket);
      if (moved == nullptr) continue;
      Json entry = backend_entry(
          after.name, colour, to_string(backend.socket),
          fmt::format("moves here from {}, weight {}", moves.former_service(*moved), backend.weight));
      if (told.insert(backend.socket).second) entry["breaks"] = flows(moved->id);
      plan.add("changed", std::move(entry));
    }
  }
}

std::string vip_text(const Socket& vip, bool with_protocol) {
  const char* protocol = !with_protocol ? "" : vip.protocol == kProtocolTcp ? "/tcp" : "/udp";
  return to_string(vip) + protocol;
}

std::string vip_change(const Socket& from, const Socket& to) {
  const bool other = from.protocol != to.protocol;
  return fmt::format("VIP {} -> {}", vip_text(from, other), vip_text(to, other));
}

std::string preview_text(const std::optional<Socket>& preview) {
  return preview ? to_string(*preview) : "none";
}

void compare_services(const ServiceConfig& before, const ServiceConfig& after, const ServiceState& state,
                      const Moves& moves, const FlowsOfBackend& flows, PlanLists& plan) {
  const auto changed = [&](const std::string& detail) {
    plan.add("changed", {{"kind", "service"}, {"service", after.name}, {"detail", detail}});
  };
  if (before.name != after.name) changed(fmt::format("renamed, was {}", before.name));
  if (before.vip != after.vip) {
    const ServiceState* owner = moves.vip_was_of(state);
    plan.add("changed", {{"kind", "service"},
                         {"service", after.name},
                         {"detail", vip_change(before.vip, after.vip) +
                                        (owner == nullptr ? "" : ", which was that of " + owner->name)},
                         {"breaks", moves.flows_of(state.id, flows)}});
  }
  if (before.preview != after.preview)
    changed(fmt::format("preview {} -> {}{}", preview_text(before.preview), preview_text(after.preview),
                        before.preview ? ": flows to the old address break" : ""));
  if (before.affinity_client != after.affinity_client)
    changed(after.affinity_client ? "affinity flow -> client" : "affinity client -> flow");
  if (!(before.drain == after.drain))
    changed(fmt::format("drain {} -> {}", drain_text(before.drain), drain_text(after.drain)));
  if (before.check != after.check) changed(check_change(before.check, after.check));
  for (const std::string& change : health_changes(before.health, after.health)) changed(change);
  for (const std::string& change : rollout_changes(before, after)) changed(change);
  compare_pools(before, after, moves, plan);
}

std::string pools_text(const ServiceConfig& service) {
  return fmt::format("{}, {}, {}", to_string(service.vip), counted(service.pools[0].size(), "blue"),
                     counted(service.pools[1].size(), "green"));
}

// The flows of a retired service continue, unless its VIP belongs to another service now.
void tell_retired_service(const ServiceConfig& before, const ServiceState& held, const Moves& moves,
                          const FlowsOfBackend& flows, PlanLists& plan) {
  const ServiceState* taker = moves.vip_taken_by(held);
  plan.add("retired", {{"kind", "service"},
                       {"service", held.name},
                       {"detail", pools_text(before) +
                                      (taker == nullptr ? "" : "; " + taker->name + " takes over the VIP")},
                       {taker == nullptr ? "flows" : "breaks", moves.flows_of(held.id, flows)}});
}

void compare_groups(const Config& before, const Config& after, PlanLists& plan) {
  std::map<std::string, std::vector<std::string>> old_groups;
  for (const GroupConfig& group : before.groups) old_groups.emplace(group.name, group.services);
  const auto entry = [](const std::string& name, std::string detail) {
    return Json{{"kind", "group"}, {"service", name}, {"detail", std::move(detail)}};
  };
  for (const GroupConfig& group : after.groups) {
    const auto known = old_groups.find(group.name);
    if (known == old_groups.end()) {
      plan.add("added", entry(group.name, listed(group.services)));
    } else {
      if (known->second != group.services)
        plan.add("changed",
                 entry(group.name, fmt::format("{} -> {}", listed(known->second), listed(group.services))));
      old_groups.erase(known);
    }
  }
  for (const auto& [name, services] : old_groups) plan.add("retired", entry(name, listed(services)));
}

std::string changed_keys(const ApiConfig& before, const ApiConfig& after) {
  std::vector<std::string> keys;
  if (!(before.control == after.control)) keys.emplace_back("control");
  if (!(before.status == after.status)) keys.emplace_back("status");
  if (before.listen != after.listen) keys.emplace_back("listen");
  return listed(keys);
}

}  // namespace

Json reload_plan(const Config& before, const Inventory& held, const Config& after,
                 const Inventory& renumbered, const FlowsOfBackend& flows) {
  PlanLists plan;
  const Moves moves(held, renumbered);
  std::unordered_map<uint16_t, const ServiceState*> old_by_id;
  std::unordered_map<std::string, const ServiceConfig*> old_by_name, new_by_name;
  for (const ServiceConfig& service : before.services) old_by_name.emplace(service.name, &service);
  for (const ServiceConfig& service : after.services) new_by_name.emplace(service.name, &service);
  for (const ServiceState& state : held.services)
    if (!state.retired) old_by_id.emplace(state.id, &state);

  std::unordered_set<uint16_t> counted_services;  // whose flows are told with the service
  for (const ServiceState& state : renumbered.services) {
    const auto known = old_by_id.find(state.id);
    const bool was_there = known != old_by_id.end();
    if (state.retired && !was_there) continue;
    if (was_there && (state.retired || state.vip != known->second->vip)) counted_services.insert(state.id);
    if (state.retired) {
      tell_retired_service(*old_by_name.at(state.name), *known->second, moves, flows, plan);
      continue;
    }
    const ServiceConfig& service = *new_by_name.at(state.name);
    if (was_there) {
      compare_services(*old_by_name.at(known->second->name), service, state, moves, flows, plan);
    } else {
      plan.add("added", {{"kind", "service"}, {"service", service.name}, {"detail", pools_text(service)}});
    }
    tell_moved_backends(service, moves, flows, plan);
  }
  std::unordered_map<uint16_t, const BackendState*> old_backends;
  for (const BackendState& backend : held.backends)
    if (!backend.retired) old_backends.emplace(backend.id, &backend);
  for (const BackendState& backend : renumbered.backends) {
    const auto known = old_backends.find(backend.id);
    if (!backend.retired || known == old_backends.end() || moves.moved(known->second->socket) != nullptr)
      continue;
    const ServiceState* service = renumbered.service(backend.service);
    if (service != nullptr && service->retired) continue;  // told with the service
    Json entry = {{"kind", "backend"},
                  {"service", service == nullptr ? "" : service->name},
                  {"address", to_string(known->second->socket)}};
    if (!counted_services.contains(backend.service)) entry["flows"] = flows(backend.id);
    plan.add("retired", std::move(entry));
  }
  compare_groups(before, after, plan);
  const auto changed = [&](const char* kind, const std::string& detail) {
    plan.add("changed", {{"kind", kind}, {"detail", detail}});
  };
  if (std::memcmp(&before.timeouts, &after.timeouts, sizeof(Timeouts)) != 0)
    changed("timeouts", "all flows follow the new ones at once");
  if (before.reset_rate != after.reset_rate) changed("drain", "reset_rate");
  if (const std::string keys = changed_keys(before.api, after.api); !keys.empty())
    changed("api", keys + ": takes effect at once, without a restart");
  return plan.take();
}

bool changes_nothing(const Json& plan) {
  return plan.at("added").empty() && plan.at("changed").empty() && plan.at("retired").empty();
}

std::vector<std::string> drift(const CatalogueService& service, const ServiceState& state, bool is_draining) {
  const ServiceConfig& file = *service.config;
  std::vector<std::string> lines;
  const DrainConfig drain = effective_drain(file, state);
  if (is_draining && !(drain == file.drain))
    lines.push_back(
        fmt::format("this drain is {}, the file says {}", drain_text(drain), drain_text(file.drain)));
  for (size_t colour = 0; colour < kColours; ++colour) {
    for (const PoolMember& member : service.pools[colour]) {
      const std::string name = fmt::format("{} {}", kColourNames[colour], to_string(member.socket));
      if (member.admin != AdminState::kReady && member.file_weight != 0)
        lines.push_back(fmt::format("{} is in {}, so its weight is 0, the file says {}", name,
                                    kAdminStateNames[static_cast<size_t>(member.admin)], member.file_weight));
      if (member.set_weight && *member.set_weight != member.file_weight)
        lines.push_back(
            fmt::format("{} has weight {}, the file says {}", name, *member.set_weight, member.file_weight));
    }
  }
  return lines;
}

}  // namespace teal
