// SPDX-License-Identifier: Apache-2.0
#include "control/change/reload_plan.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include <fmt/format.h>

#include "control/change/drain.h"

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
  return fmt::format("{} s, then {}, udp {}", static_cast<double>(drain.timeout.count()) / 1e3,
                     then_name(drain.then), drain.udp == DrainConfig::Udp::kCut ? "cut" : "stick");
}

using Weights = std::map<std::string, uint32_t>;  // by socket

Weights weights_of(const std::vector<BackendConfig>& pool) {
  Weights weights;
  for (const BackendConfig& backend : pool) weights.emplace(to_string(backend.socket), backend.weight);
  return weights;
}

void compare_pools(const ServiceConfig& before, const ServiceConfig& after, PlanLists& plan) {
  for (size_t colour = 0; colour < kColours; ++colour) {
    const auto entry = [&](const std::string& address, std::string detail) {
      return Json{{"kind", "backend"},
                  {"service", after.name},
                  {"colour", kColourNames[colour]},
                  {"address", address},
                  {"detail", std::move(detail)}};
    };
    const Weights old_weights = weights_of(before.pools[colour]), weights = weights_of(after.pools[colour]);
    const Weights elsewhere = weights_of(after.pools[1 - colour]);
    for (const auto& [address, weight] : weights) {
      const auto known = old_weights.find(address);
      if (known == old_weights.end()) {
        plan.add("added", entry(address, fmt::format("weight {}", weight)));
      } else if (known->second != weight) {
        plan.add("changed", entry(address, fmt::format("weight {} -> {}", known->second, weight)));
      }
    }
    for (const auto& [address, weight] : old_weights) {
      if (!weights.contains(address) && elsewhere.contains(address))
        plan.add("changed", entry(address, fmt::format("leaves {}, stays in {}", kColourNames[colour],
                                                       kColourNames[1 - colour])));
    }
  }
}

void compare_services(const ServiceConfig& before, const ServiceConfig& after, PlanLists& plan) {
  const auto changed = [&](const std::string& detail) {
    plan.add("changed", {{"kind", "service"}, {"service", after.name}, {"detail", detail}});
  };
  if (before.name != after.name) changed(fmt::format("renamed, was {}", before.name));
  if (before.vip != after.vip)
    changed(fmt::format("VIP {} -> {}: flows to the old address end", to_string(before.vip),
                        to_string(after.vip)));
  if (before.affinity_client != after.affinity_client)
    changed(after.affinity_client ? "affinity flow -> client" : "affinity client -> flow");
  if (!(before.drain == after.drain))
    changed(fmt::format("drain {} -> {}", drain_text(before.drain), drain_text(after.drain)));
  compare_pools(before, after, plan);
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

}  // namespace

Json reload_plan(const Config& before, const Inventory& held, const Config& after,
                 const Inventory& renumbered, const FlowsOfBackend& flows) {
  PlanLists plan;
  std::unordered_map<uint16_t, const ServiceConfig*> old_by_id;
  std::unordered_map<std::string, const ServiceConfig*> old_by_name, new_by_name;
  for (const ServiceConfig& service : before.services) old_by_name.emplace(service.name, &service);
  for (const ServiceConfig& service : after.services) new_by_name.emplace(service.name, &service);
  for (const ServiceState& state : held.services)
    if (!state.retired) old_by_id.emplace(state.id, old_by_name.at(state.name));

  for (const ServiceState& state : renumbered.services) {
    const auto known = old_by_id.find(state.id);
    const bool was_there = known != old_by_id.end();
    if (!state.retired && was_there) compare_services(*known->second, *new_by_name.at(state.name), plan);
    if (!state.retired && !was_there) {
      const ServiceConfig& service = *new_by_name.at(state.name);
      plan.add("added", {{"kind", "service"},
                         {"service", service.name},
                         {"detail", fmt::format("{}, {}, {}", to_string(service.vip),
                                                counted(service.pools[0].size(), "blue"),
                                                counted(service.pools[1].size(), "green"))}});
    }
    if (state.retired && was_there) {
      uint64_t held_flows = 0;
      for (const BackendState& backend : held.backends)
        if (backend.service == state.id) held_flows += flows(backend.id);
      plan.add("retired", {{"kind", "service"},
                           {"service", state.name},
                           {"detail", to_string(known->second->vip)},
                           {"flows", held_flows}});
    }
  }
  std::unordered_map<uint16_t, const BackendState*> old_backends;
  for (const BackendState& backend : held.backends)
    if (!backend.retired) old_backends.emplace(backend.id, &backend);
  for (const BackendState& backend : renumbered.backends) {
    const auto known = old_backends.find(backend.id);
    if (!backend.retired || known == old_backends.end()) continue;
    const ServiceState* service = renumbered.service(backend.service);
    plan.add("retired", {{"kind", "backend"},
                         {"service", service == nullptr ? "" : service->name},
                         {"address", to_string(known->second->socket)},
                         {"flows", flows(backend.id)}});
  }
  compare_groups(before, after, plan);
  const auto changed = [&](const char* kind, const char* detail) {
    plan.add("changed", {{"kind", kind}, {"detail", detail}});
  };
  if (std::memcmp(&before.timeouts, &after.timeouts, sizeof(Timeouts)) != 0)
    changed("timeouts", "all flows follow the new ones at once");
  if (before.reset_rate != after.reset_rate) changed("drain", "reset_rate");
  if (!(before.api == after.api)) changed("api", "the sockets are opened again");
  return plan.take();
}

bool changes_nothing(const Json& plan) {
  return plan.at("added").empty() && plan.at("changed").empty() && plan.at("retired").empty();
}

std::vector<std::string> wants_restart(const DataplaneOptions& file, const SegmentHeader& running) {
  std::vector<std::string> lines;
  const auto differs = [&](const char* field, const auto& wanted, const auto& runs) {
    lines.push_back(
        fmt::format("{}: the file says {}, the running teal-dataplane has {}: restart it to change this",
                    field, wanted, runs));
  };
  const uint32_t workers = running.worker_count.load(std::memory_order_relaxed);
  if (file.workers != workers) differs("[dataplane] workers", file.workers, workers);
  if (file.flow_capacity != running.flow_capacity)
    lines.push_back(
        fmt::format("[dataplane] flow_capacity: the file says {}, the flow table has {}: a restart "
                    "makes a new table, without the flows",
                    file.flow_capacity, running.flow_capacity));
  for (const PortOptions& port : file.ports) {
    const auto row =
        std::find_if(std::begin(running.ports), std::end(running.ports),
                     [&](const PortRow& row) { return row.present != 0 && port.name == row.name; });
    if (row == std::end(running.ports)) {
      lines.push_back(
          fmt::format("[[port]] {}: new in the file: restart teal-dataplane to open it", port.name));
    } else if (row->side != port.side) {
      lines.push_back(
          fmt::format("[[port]] {}: another side: restart teal-dataplane to change it", port.name));
    }
  }
  for (const PortRow& row : running.ports) {
    const bool wanted = std::any_of(file.ports.begin(), file.ports.end(),
                                    [&](const PortOptions& port) { return port.name == row.name; });
    if (row.present != 0 && !wanted)
      lines.push_back(
          fmt::format("[[port]] {}: no longer in the file: restart teal-dataplane to close it", row.name));
  }
  return lines;
}

std::vector<std::string> drift(const CatalogueService& service, const ServiceState& state) {
  const ServiceConfig& file = *service.config;
  std::vector<std::string> lines;
  if (state.active != file.active)
    lines.push_back(fmt::format("active is {}, the file says {}",
                                kColourNames[static_cast<size_t>(state.active)],
                                kColourNames[static_cast<size_t>(file.active)]));
  const DrainConfig drain = effective_drain(file, state);
  if (!(drain == file.drain))
    lines.push_back(
        fmt::format("this drain is {}, the file says {}", drain_text(drain), drain_text(file.drain)));
  for (size_t colour = 0; colour < kColours; ++colour) {
    for (const PoolMember& member : service.pools[colour]) {
      const std::string name = fmt::format("{} {}", kColourNames[colour], to_string(member.socket));
      if (member.admin != AdminState::kReady)
        lines.push_back(
            fmt::format("{} is in {}", name, kAdminStateNames[static_cast<size_t>(member.admin)]));
      if (member.set_weight && *member.set_weight != member.file_weight)
        lines.push_back(
            fmt::format("{}: weight is {}, the file says {}", name, *member.set_weight, member.file_weight));
    }
  }
  return lines;
}

}  // namespace teal
