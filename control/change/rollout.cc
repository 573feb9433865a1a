// SPDX-License-Identifier: Apache-2.0
#include "control/change/rollout.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "control/config/config_rollout.h"
#include "control/loop/wall_clock.h"

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

constexpr int64_t kUnsettledMs = 60 * 60 * 1000;

bool is_newer(const RolloutService& service, uint64_t generation) {
  return service.added_after >= generation;
}

using Verb = RolloutRequest::Verb;
using Kind = ColourChange::Kind;

ColourChange change_to(Colour to, Kind kind, const RolloutService& service) {
  ColourChange change{.kind = kind, .service = service.id, .name = service.name, .from = other(to), .to = to};
  change.share_before = service.ramp ? service.ramp->share() : 0;
  return change;
}

ColourChange flip_to(Colour to, bool may_be_release, const RolloutService& service) {
  ColourChange change = change_to(to, Kind::kFlip, service);
  if (service.undo && (!may_be_release || service.flip_back_undoes)) change.undoes = service.undo->generation;
  change.is_release = may_be_release && !change.undoes;
  return change;
}

ColourChange ramp_to(Colour to, Ramp ramp, const RolloutService& service) {
  ColourChange change = change_to(to, Kind::kShare, service);
  change.ramp = std::move(ramp);
  return change;
}

std::optional<ColourChange> abort_of(const RolloutService& service) {
  if (!service.ramp) return std::nullopt;
  return change_to(service.active, Kind::kAbort, service);
}

std::optional<ColourChange> next_step(const RolloutService& service) {
  if (!service.ramp) return std::nullopt;
  if (service.ramp->next_is_flip()) return flip_to(other(service.active), true, service);
  Ramp ramp = *service.ramp;
  ++ramp.step;
  ramp.paused.reset();
  return ramp_to(other(service.active), std::move(ramp), service);
}

std::optional<ColourChange> flip_of(const RolloutRequest& request, const RolloutService& service) {
  if (request.to == service.active) return abort_of(service);
  ColourChange flip = flip_to(request.to, true, service);
  if (request.now || !service.rollout || !flip.is_release) return flip;
  if (service.ramp) return std::nullopt;  // the same command again
  return ramp_to(request.to, Ramp{.plan = *service.rollout}, service);
}

std::optional<ColourChange> rollback_of(const RolloutRequest& request, const RolloutService& service) {
  Colour to = service.active;
  if (request.to_generation) {
    if (!is_newer(service, *request.to_generation)) to = service.back_then.value_or(service.active);
  } else if (service.undo && !service.ramp && !service.waits) {
    to = service.undo->to;
  }
  if (to == service.active) return abort_of(service);
  return flip_to(to, false, service);
}

Refusal ramp_under_way(const RolloutService& service) {
  return {409, "conflict",
          fmt::format("service \"{}\" has a ramp to {} since generation {}, now at {}; nothing was changed",
                      service.name, name_of(other(service.active)), service.ramp->id,
                      share_text(service.ramp->share())),
          fmt::format("teal next {0} goes on with it, teal abort {0} ends it", service.name)};
}

Refusal no_steps(const RolloutService& service) {
  return Refusal::bad_request(
      fmt::format("the ramp has no steps: neither the request names them (\"steps\") nor the config, in "
                  "[service.rollout] of \"{}\"",
                  service.name));
}

// Returns what the request does to the service; nothing: it stays as it is.
tl::expected<std::optional<ColourChange>, Refusal> change_of_service(const RolloutRequest& request,
                                                                     const RolloutService& service) {
  switch (request.verb) {
    case Verb::kFlip:
      return flip_of(request, service);
    case Verb::kRollback:
      return rollback_of(request, service);
    case Verb::kNext:
      return next_step(service);
    case Verb::kAbort:
      return abort_of(service);
    case Verb::kRamp:
      break;
  }
  if (service.ramp) return tl::unexpected(ramp_under_way(service));
  if (request.to == service.active) return std::nullopt;
  RampPlan plan = service.rollout.value_or(RampPlan());
  if (!request.ramp.steps.empty()) plan.steps = request.ramp.steps;
  if (plan.steps.empty()) return tl::unexpected(no_steps(service));
  plan.every = request.ramp.every.value_or(plan.every);
  plan.manual = request.ramp.manual.value_or(plan.manual);
  return ramp_to(request.to, Ramp{.plan = plan}, service);
}

bool gets_release(const RolloutRequest& request, const RolloutService& service) {
  return request.verb == Verb::kFlip && request.to != service.active &&
         !(service.undo && service.flip_back_undoes);
}

// Returns whether the config may say which steps the request takes.
bool takes_steps(const RolloutRequest& request) {
  return request.ramp.steps.empty() &&
         (request.verb == Verb::kRamp || (request.verb == Verb::kFlip && !request.now));
}

// Returns the first service that moves and whose config has steps.
const RolloutService* first_with_steps(const std::vector<const RolloutService*>& chosen, Colour to) {
  const auto found = std::find_if(chosen.begin(), chosen.end(), [&](const RolloutService* service) {
    return service->active != to && !service->ramp && service->rollout;
  });
  return found == chosen.end() ? nullptr : *found;
}

// Returns the command by which a backend of a pool without one takes new flows. The file has no pool whose
// weights are all 0.
std::string command_to_serve(const std::string& service, size_t colour, const std::vector<PoolMember>& pool) {
  const auto member = std::find_if(pool.begin(), pool.end(),
                                   [](const PoolMember& candidate) { return candidate.file_weight != 0; });
  if (takes_flows(pool) || member == pool.end()) return "";
  return fmt::format("teal backend set {}/{}/{}{}{}", service, kColourNames[colour],
                     to_string(member->socket), member->admin == AdminState::kReady ? "" : " ready",
                     member->set_weight == 0u ? " --weight file" : "");
}

// A service and the colour that it cannot take.
struct EmptyPool {
  const RolloutService* service;
  Colour colour;
};

// The refusal of a request that would move new flows to pools without a backend that takes them.
Refusal nobody_takes_flows(const std::vector<EmptyPool>& pools, size_t chosen, bool is_forced) {
  std::vector<std::string> names, commands;
  for (const auto& [service, colour] : pools) {
    names.push_back(fmt::format("{} ({})", service->name, name_of(colour)));
    commands.push_back("`" + service->commands_to_serve[static_cast<size_t>(colour)] + "`");
  }
  constexpr const char* kWhich = "(ready, with a weight above 0)";
  std::string message =
      pools.size() == 1
          ? fmt::format("service \"{}\" has no {} backend that takes new flows {}",
                        pools.front().service->name, name_of(pools.front().colour), kWhich)
          : fmt::format("these services have no backend of their new colour that takes new flows {}: {}",
                        kWhich, listed(names));
  if (const size_t others = chosen - pools.size(); others != 0)
    message += others == 1 ? "; the other service was not changed either"
                           : fmt::format("; the {} other services were not changed either", others);
  return {422, "refused", std::move(message),
          fmt::format("run {}, then repeat the command{}", listed(commands),
                      is_forced ? "; --force does not pass this gate" : "")};
}

void leave(const RolloutService& service, const RolloutRequest& request, RolloutPlan& plan) {
  plan.unchanged.push_back(service.name);
  if (request.verb == Verb::kFlip && service.ramp) plan.on_a_ramp.push_back(service.name);
  if (request.verb != Verb::kRollback || service.waits) return;
  if (!request.to_generation) {
    plan.nothing_to_undo.push_back(service.name);
  } else if (is_newer(service, *request.to_generation)) {
    plan.added_since.push_back(service.name);
  }
}

}  // namespace

tl::expected<std::vector<const RolloutService*>, Refusal> select_services(const Selection& what,
                                                                          const RolloutView& view) {
  std::vector<const RolloutService*> chosen;
  if (what.all) {
    if (what.group || !what.services.empty())
      return tl::unexpected(Refusal::bad_request("the request names services or a group, and \"all\", too"));
    for (const RolloutService& service : view.services) chosen.push_back(&service);
    return chosen;
  }
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
    view.services.push_back({.name = state.name,
                             .id = state.id,
                             .active = state.active,
                             .undo = state.undo,
                             .flip_generation = state.flip_generation,
                             .added_after = state.added_after,
                             .takes_flows = {takes_flows(service.pools[0]), takes_flows(service.pools[1])},
                             .commands_to_serve = {command_to_serve(state.name, 0, service.pools[0]),
                                                   command_to_serve(state.name, 1, service.pools[1])},
                             .ramp = state.ramp,
                             .rollout = service.config->rollout,
                             .back_then = std::nullopt});
  }
  return view;
}

bool flip_back_undoes(const ServiceState& service, bool has_flows, int64_t now_ms) {
  return service.undo && (has_flows || now_ms - service.flipped_at_ms <= kUnsettledMs);
}

tl::expected<RolloutPlan, Refusal> plan_rollout(const RolloutRequest& request, const RolloutView& view) {
  if (request.what.all && !request.to_generation)
    return tl::unexpected(Refusal::bad_request("\"all\" needs \"to_generation\""));
  const auto chosen = select_services(request.what, view);
  if (!chosen) return tl::unexpected(chosen.error());
  RolloutPlan plan;
  std::vector<EmptyPool> empty_pools;
  // Services that one flip moves are judged as one, and go back as one.
  const bool is_release = std::any_of(chosen->begin(), chosen->end(), [&](const RolloutService* service) {
    return gets_release(request, *service);
  });
  const RolloutService* leader = takes_steps(request) ? first_with_steps(*chosen, request.to) : nullptr;
  for (const RolloutService* service : *chosen) {
    RolloutService now = *service;
    if (is_release) now.flip_back_undoes = false;
    const bool follows = leader != nullptr && !now.ramp && !(now.rollout == leader->rollout);
    if (follows) now.rollout = leader->rollout;
    auto change = change_of_service(request, now);
    if (!change) return tl::unexpected(std::move(change.error()));
    if (!*change) {
      leave(*service, request, plan);
      continue;
    }
    if (!service->takes_flows[static_cast<size_t>((*change)->to)])
      empty_pools.push_back({service, (*change)->to});
    const uint64_t latest =
        service->ramp ? std::max(service->ramp->id, service->flip_generation) : service->flip_generation;
    if (request.seen_generation && latest > *request.seen_generation) plan.flipped_later = service->name;
    if (follows && (*change)->ramp) {
      plan.steps_of = leader->name;
      plan.follow_steps.push_back(service->name);
    }
    plan.changes.push_back(std::move(**change));
  }
  if (!empty_pools.empty())
    return tl::unexpected(nobody_takes_flows(empty_pools, chosen->size(), request.force));
  return plan;
}

std::string way_back_is_lost(const RolloutPlan& plan, RolloutRequest::Verb verb) {
  if (verb == RolloutRequest::Verb::kRollback) return "";
  std::vector<std::string> services;
  std::set<uint64_t> undone;
  for (const ColourChange& change : plan.changes) {
    if (!change.undoes) continue;
    services.push_back(change.name);
    undone.insert(*change.undoes);
  }
  if (services.empty()) return "";
  return fmt::format(
      "this flip takes back the flip of generation {} in {}, so no rollback undoes it, Teal "
      "does not judge it, and neither pre_flip nor min_capacity is asked",
      fmt::join(undone, ", "), listed(services));
}

std::string steps_are_shared(const RolloutPlan& plan) {
  if (plan.follow_steps.empty()) return "";
  return fmt::format("what one command moves is judged as one, so the steps of {} are those of {}, too",
                     plan.steps_of, listed(plan.follow_steps));
}

std::string flip_text(const ServiceState& service, const std::string& user) {
  std::string text = fmt::format("{} is active", name_of(service.active));
  if (service.flip_generation == 0) return text + ", and the service was never flipped";
  text += fmt::format(" since generation {}", service.flip_generation);
  if (const auto& by = service.flipped_by)
    text += fmt::format(", {} {} by {}", by->verb == FlipVerb::kAbort ? "an" : "a",
                        kFlipVerbNames[static_cast<size_t>(by->verb)], text_of({by->uid, user}));
  return text;
}

nlohmann::ordered_json nothing_to_undo_json(const ServiceState& service, const std::string& user) {
  nlohmann::ordered_json json = {{"service", service.name},
                                 {"active", name_of(service.active)},
                                 {"generation", service.flip_generation},
                                 {"verb", nullptr},
                                 {"uid", nullptr},
                                 {"user", nullptr},
                                 {"at", nullptr},
                                 {"text", "nothing to undo; " + flip_text(service, user)}};
  if (const auto& by = service.flipped_by) {
    json["verb"] = kFlipVerbNames[static_cast<size_t>(by->verb)];
    json["uid"] = by->uid;
    json["user"] = user;
    json["at"] = rfc3339(service.flipped_at_ms);
  }
  return json;
}

Refusal flipped_later(const ServiceState& service, const std::string& user, uint64_t seen_generation) {
  return {
      409, "conflict",
      fmt::format("the request saw generation {}, and service \"{}\" was flipped later: {}, at {}; nothing "
                  "was changed",
                  seen_generation, service.name, flip_text(service, user), rfc3339(service.flipped_at_ms)),
      fmt::format("look at `teal status {0}`, then repeat the command, or leave it", service.name)};
}

}  // namespace teal
