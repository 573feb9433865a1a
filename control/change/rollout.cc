// SPDX-License-Identifier: Apache-2.0
#include "control/change/rollout.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace teal {

namespace {

Refusal unknown_group(const std::string& name, const RolloutView& view) {
  std::vector<std::string> names;
  for (const GroupConfig& group : view.groups) names.push_back(group.name);
  return {404, "unknown_group",
          names.empty() ? fmt::format("unknown group \"{}\"; the config has no groups", name)
                        : fmt::format("unknown group \"{}\"; the groups are: {}", name, listed(names)),
          "teal list"};
}

// Returns the service's new colour; nothing: it keeps its colour.
tl::expected<std::optional<Colour>, Refusal> destination(const RolloutRequest& request,
                                                         const RolloutService& service) {
  const auto unless_active = [&](Colour to) {
    return service.active == to ? std::nullopt : std::optional(to);
  };
  if (request.verb == RolloutRequest::Verb::kFlip) return unless_active(request.to);
  if (request.to_generation) return unless_active(service.back_then.value_or(service.active));
  if (service.previous && *service.previous != service.active) return service.previous;
  if (request.what.group) return std::nullopt;
  return tl::unexpected(Refusal{
      409, "nothing_to_roll_back",
      fmt::format("service \"{}\" was never flipped, so it has no colour to go back to", service.name),
      "teal status " + service.name});
}

}  // namespace

tl::expected<std::vector<const RolloutService*>, Refusal> select_services(const Selection& what,
                                                                          const RolloutView& view) {
  if (what.group.has_value() != what.services.empty())
    return tl::unexpected(
        Refusal::bad_request("the request must name either services or a group, and not both"));
  const std::vector<std::string>* names = &what.services;
  if (what.group) {
    const auto group =
        std::find_if(view.groups.begin(), view.groups.end(),
                     [&](const GroupConfig& candidate) { return candidate.name == *what.group; });
    if (group == view.groups.end()) return tl::unexpected(unknown_group(*what.group, view));
    names = &group->services;
  }
  std::unordered_map<std::string_view, const RolloutService*> by_name;
  std::vector<std::string> known;
  for (const RolloutService& service : view.services) {
    by_name.emplace(service.name, &service);
    known.push_back(service.name);
  }
  std::vector<const RolloutService*> chosen;
  std::unordered_set<std::string_view> seen;
  for (const std::string& name : *names) {
    const auto service = by_name.find(name);
    if (service == by_name.end()) return tl::unexpected(unknown_service(name, known));
    if (seen.insert(name).second) chosen.push_back(service->second);
  }
  return chosen;
}

std::unordered_map<std::string, Colour> colours_before(const std::vector<std::string>& flips) {
  std::unordered_map<std::string, Colour> colours;
  for (const std::string& flip : flips) {
    const auto changes = nlohmann::json::parse(flip, nullptr, false);
    if (!changes.is_array()) continue;
    for (const nlohmann::json& change : changes) {
      const bool names_both = change.is_object() && change.contains("service") &&
                              change["service"].is_string() && change.contains("from") &&
                              change["from"].is_string();
      if (!names_both) continue;
      const bool from_green = change["from"] == kColourNames[1];
      colours[change["service"].get<std::string>()] = from_green ? Colour::kGreen : Colour::kBlue;
    }
  }
  return colours;
}

Refusal unknown_service(const std::string& name, const std::vector<std::string>& known) {
  return {404,
          "unknown_service",
          known.empty() ? fmt::format("unknown service \"{}\"; the config has no services", name)
                        : fmt::format("unknown service \"{}\"; the services are: {}", name, listed(known)),
          "teal list",
          {}};
}

std::string listed(std::span<const std::string> names) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

RolloutView view_of(const Catalogue& catalogue) {
  RolloutView view{.services = {}, .groups = catalogue.config().groups};
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    view.services.push_back({state.name,
                             state.id,
                             state.active,
                             state.previous,
                             {takes_flows(service.pools[0]), takes_flows(service.pools[1])},
                             std::nullopt});
  }
  return view;
}

tl::expected<RolloutPlan, Refusal> plan_rollout(const RolloutRequest& request, const RolloutView& view) {
  Selection what = request.what;
  if (request.to_generation && what.services.empty() && !what.group)
    for (const RolloutService& service : view.services) what.services.push_back(service.name);
  const auto chosen = select_services(what, view);
  if (!chosen) return tl::unexpected(chosen.error());
  RolloutPlan plan;
  for (const RolloutService* service : *chosen) {
    const auto to = destination(request, *service);
    if (!to) return tl::unexpected(to.error());
    if (!*to) {
      plan.unchanged.push_back(service->name);
      continue;
    }
    const auto colour = static_cast<size_t>(**to);
    if (!service->takes_flows[colour]) {
      return tl::unexpected(Refusal{
          422, "refused",
          fmt::format("service \"{}\" has no {} backend that takes new flows (ready, with a weight above 0)",
                      service->name, kColourNames[colour]),
          fmt::format("teal backend list {}", service->name)});
    }
    plan.changes.push_back({service->id, service->name, service->active, **to});
  }
  if (request.verb == RolloutRequest::Verb::kRollback && !request.to_generation && plan.changes.empty()) {
    return tl::unexpected(
        Refusal{409, "nothing_to_roll_back",
                fmt::format("no service of group \"{}\" was ever flipped", request.what.group.value_or("")),
                "teal list"});
  }
  return plan;
}

Change change_of(const RolloutPlan& plan, RolloutRequest::Verb verb, const Catalogue& catalogue) {
  const bool is_rollback = verb == RolloutRequest::Verb::kRollback;
  Change change{.verb = is_rollback ? "rollback" : "flip"};
  change.is_flip = true;
  change.despite_disk = is_rollback;
  nlohmann::ordered_json changed = nlohmann::ordered_json::array();
  for (const ColourChange& colour : plan.changes) {
    ServiceState state = *catalogue.service(colour.service);
    state.active = colour.to;
    state.previous = colour.from;
    state.drain_timeout.reset();
    state.drain_then.reset();
    change.services.push_back(std::move(state));
    changed.push_back({{"service", colour.name},
                       {"from", kColourNames[static_cast<size_t>(colour.from)]},
                       {"to", kColourNames[static_cast<size_t>(colour.to)]}});
  }
  change.fields = {{"changed", std::move(changed)}, {"unchanged", plan.unchanged}};
  return change;
}

}  // namespace teal
