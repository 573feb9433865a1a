// SPDX-License-Identifier: Apache-2.0
#include "control/rollout.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

namespace teal {

namespace {

using Chosen = std::vector<const RolloutService*>;

Refusal unknown_group(const std::string& name, const RolloutView& view) {
  std::vector<std::string> names;
  for (const GroupConfig& group : view.groups) names.push_back(group.name);
  return {404, "unknown_group",
          names.empty() ? fmt::format("no group \"{}\"; the config has no groups", name)
                        : fmt::format("no group \"{}\"; there are: {}", name, listed(names)),
          "teal list"};
}

Refusal unknown_service(const std::string& name, const RolloutView& view) {
  std::vector<std::string> names;
  for (const RolloutService& service : view.services) names.push_back(service.name);
  return {404, "unknown_service",
          names.empty() ? fmt::format("no service \"{}\"; the config has no services", name)
                        : fmt::format("no service \"{}\"; there are: {}", name, listed(names)),
          "teal list"};
}

tl::expected<Chosen, Refusal> choose(const RolloutRequest& request, const RolloutView& view) {
  if (request.group.has_value() != request.services.empty())
    return tl::unexpected(Refusal::bad_request("name either services or a group, and not both"));
  const std::vector<std::string>* names = &request.services;
  if (request.group) {
    const auto group =
        std::find_if(view.groups.begin(), view.groups.end(),
                     [&](const GroupConfig& candidate) { return candidate.name == *request.group; });
    if (group == view.groups.end()) return tl::unexpected(unknown_group(*request.group, view));
    names = &group->services;
  }
  std::unordered_map<std::string_view, const RolloutService*> by_name;
  for (const RolloutService& service : view.services) by_name.emplace(service.name, &service);
  Chosen chosen;
  std::unordered_set<std::string_view> seen;
  for (const std::string& name : *names) {
    const auto service = by_name.find(name);
    if (service == by_name.end()) return tl::unexpected(unknown_service(name, view));
    if (seen.insert(name).second) chosen.push_back(service->second);
  }
  return chosen;
}

// Where the service shall go; nothing: it stays where it is.
tl::expected<std::optional<Colour>, Refusal> destination(const RolloutRequest& request,
                                                         const RolloutService& service) {
  if (request.verb == RolloutRequest::Verb::kFlip)
    return service.active == request.to ? std::nullopt : std::optional(request.to);
  if (service.previous && *service.previous != service.active) return service.previous;
  if (request.group) return std::nullopt;
  return tl::unexpected(
      Refusal{409, "nothing_to_roll_back",
              fmt::format("service \"{}\" was never flipped: there is no target to return to", service.name),
              "teal status " + service.name});
}

}  // namespace

std::string listed(std::span<const std::string> names) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

tl::expected<RolloutPlan, Refusal> plan_rollout(const RolloutRequest& request, const RolloutView& view) {
  const tl::expected<Chosen, Refusal> chosen = choose(request, view);
  if (!chosen) return tl::unexpected(chosen.error());
  if (request.if_generation && *request.if_generation != view.generation) {
    return tl::unexpected(
        Refusal{409, "conflict",
                fmt::format("the generation is {}, not {}: somebody else changed something in between",
                            view.generation, *request.if_generation),
                "look at `teal list`, then decide anew"});
  }
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
      return tl::unexpected(
          Refusal{422, "refused",
                  fmt::format("service \"{}\" has no {} backend with a weight above 0: new flows would have "
                              "nowhere to go",
                              service->name, kColourNames[colour]),
                  "give one of them a weight in the config"});
    }
    plan.changes.push_back({service->id, service->name, service->active, **to});
  }
  if (request.verb == RolloutRequest::Verb::kRollback && plan.changes.empty()) {
    return tl::unexpected(Refusal{
        409, "nothing_to_roll_back",
        fmt::format("no service of group \"{}\" was ever flipped", request.group.value_or("")), "teal list"});
  }
  return plan;
}

}  // namespace teal
