// SPDX-License-Identifier: Apache-2.0
#include "control/change/reach.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "control/config/config_rollout.h"

namespace teal {

namespace {

constexpr size_t kMaxDetails = 20;

// Returns the weight of the backends that are up and can be reached, as far as Teal knows.
uint64_t healthy_weight(const std::vector<PoolMember>& pool, const BackendFacts& facts, Clock::Time now,
                        uint32_t dataplane_pid) {
  uint64_t weight = 0;
  for (const PoolMember& member : pool)
    if (!facts.health.is_out(member.id) && !is_unreachable(facts.hops.of(member.id), now, dataplane_pid))
      weight += member.weight;
  return weight;
}

// A way back is as good as it is: nobody waits there for more backends.
bool needs_capacity(const ColourChange& change) {
  return change.kind == ColourChange::Kind::kShare || change.is_release;
}

// Compares the new colour's capacity with the old one's.
void compare(const ColourChange& change, const CatalogueService& service, const BackendFacts& facts,
             Clock::Time now, uint32_t dataplane_pid, Reach& reach) {
  const auto weight_of_colour = [&](Colour colour) {
    return healthy_weight(service.pools[static_cast<size_t>(colour)], facts, now, dataplane_pid);
  };
  const uint64_t weight = weight_of_colour(change.to), old_weight = weight_of_colour(change.from);
  const uint16_t least = service.config->rules.min_capacity;
  if (weight == 0 || weight * kShareOne >= old_weight * least) return;  // 0: it is dead
  reach.too_small.push_back(change.name);
  reach.sizes.push_back(
      fmt::format("{}: the healthy weight of {} is {}, that of {} is {}: this is {}, and min_capacity is {}",
                  change.name, name_of(change.to), weight, name_of(change.from), old_weight,
                  share_text(static_cast<uint16_t>(weight * kShareOne / old_weight)), share_text(least)));
}

// Warns where the health of backends that take new flows is not known, or no longer.
void warn_of_unknown(const ColourChange& change, const std::vector<PoolMember>& pool,
                     const HealthBoard& health, Reach& reach) {
  size_t checked = 0, unknown = 0;
  for (const PoolMember& member : pool) {
    const BackendHealth* known = member.weight == 0 ? nullptr : health.of(member.id);
    if (known == nullptr) continue;
    ++checked;
    if (known->health == Health::kUnchecked) ++unknown;
  }
  if (checked != 0 && !health.is_fresh())
    reach.warnings.push_back(fmt::format("{}: teal-health does not report: what is known of {} {} is old",
                                         change.name, checked, checked == 1 ? "check" : "checks"));
  else if (unknown != 0)
    reach.warnings.push_back(fmt::format("{}: {} of {} checks of {} {} no result yet", change.name, unknown,
                                         checked, name_of(change.to), unknown == 1 ? "has" : "have"));
}

// Adds what is known about one service's new colour.
void look_at(const ColourChange& change, const std::vector<PoolMember>& pool, const BackendFacts& facts,
             Clock::Time now, uint32_t dataplane_pid, Reach& reach) {
  const std::string colour = name_of(change.to);
  // A backend that is only ejected serves where no other one is up: it is good enough for the way back.
  const bool is_way_back = !needs_capacity(change);
  size_t takers = 0, unreachable = 0, silent = 0;
  std::vector<std::string> without_hop, down;
  for (const PoolMember& member : pool) {
    if (member.weight == 0) continue;
    ++takers;
    if (facts.health.is_out(member.id)) {
      if (facts.health.is_down(member.id) || !is_way_back) ++unreachable;
      const std::string address = to_string(member.socket), why = facts.health.why_out(member.id);
      down.push_back(facts.health.is_down(member.id)
                         ? fmt::format("{} ({})", address, facts.health.of(member.id)->reason)
                         : fmt::format("{} ({})", address, why));
      reach.backends.push_back(fmt::format("{}/{}/{}: {}", change.name, colour, address, why));
      continue;
    }
    const std::optional<HopState>& state = facts.hops.of(member.id);
    const std::string problem = problem_text(state);
    if (problem.empty()) continue;
    if (is_unreachable(state, now, dataplane_pid))
      ++unreachable;
    else if (state->problem == HopProblem::kNoAnswer)
      ++silent;
    const std::string address = to_string(member.socket);
    without_hop.push_back(fmt::format("{} ({})", address, problem));
    reach.backends.push_back(fmt::format("{}/{}/{}: {}", change.name, colour, address, problem));
  }
  if (!down.empty()) {
    reach.has_down = true;
    reach.warnings.push_back(fmt::format("{}: {} of {} {} backends {} down: {}", change.name, down.size(),
                                         takers, colour, down.size() == 1 ? "is" : "are", listed(down)));
  }
  if (takers != 0 && unreachable == takers) reach.dead.push_back(change.name);
  if (without_hop.empty()) return;
  reach.is_undecided = reach.is_undecided || (silent != 0 && silent + unreachable == takers);
  reach.warnings.push_back(fmt::format("{}: {} of {} {} backends {} no next hop: {}", change.name,
                                       without_hop.size(), takers, colour,
                                       without_hop.size() == 1 ? "has" : "have", listed(without_hop)));
}

}  // namespace

Reach reach_of(const RolloutPlan& plan, const Catalogue& catalogue, const BackendFacts& facts,
               Clock::Time now, uint32_t dataplane_pid) {
  Reach reach;
  for (const ColourChange& change : plan.changes) {
    const CatalogueService& service = *catalogue.find(change.name);
    const std::vector<PoolMember>& pool = service.pools[static_cast<size_t>(change.to)];
    look_at(change, pool, facts, now, dataplane_pid, reach);
    warn_of_unknown(change, pool, facts.health, reach);
    if (needs_capacity(change)) compare(change, service, facts, now, dataplane_pid, reach);
  }
  return reach;
}

std::optional<Refusal> cannot_serve(const Reach& reach, const RolloutPlan& plan) {
  if (plan.changes.empty()) return std::nullopt;
  const Colour to = plan.changes.front().to;
  if (reach.dead.empty() && reach.too_small.empty()) return std::nullopt;
  std::vector<std::string> details = reach.backends;
  if (details.size() > kMaxDetails) {
    details.resize(kMaxDetails);
    details.push_back(fmt::format("and {} more", reach.backends.size() - kMaxDetails));
  }
  details.insert(details.end(), reach.sizes.begin(), reach.sizes.end());
  std::string what;
  if (!reach.dead.empty())
    what = fmt::format("no {} backend of {} {}", name_of(to), listed(reach.dead),
                       reach.has_down ? "is up and can be reached" : "can be reached");
  if (!reach.too_small.empty())
    what += fmt::format("{}{} is too small in {}", what.empty() ? "" : "; ", name_of(to),
                        listed(reach.too_small));
  return Refusal{
      422, "refused", "nothing was changed: " + what,
      reach.has_down
          ? "teal health and teal backend list show why; --force flips all the same"
          : "teal backend list shows each backend's next hop and weight; --force flips all the same",
      std::move(details)};
}

std::optional<Refusal> reach_gates(const Reach& reach, const RolloutPlan& plan,
                                   std::vector<ClosedGate>& closed) {
  if (!reach.dead.empty()) closed.push_back({"reach", reach.dead});
  if (!reach.too_small.empty()) closed.push_back({"min_capacity", reach.too_small});
  return cannot_serve(reach, plan);
}

std::optional<Refusal> refused_by_pre_flip(const std::vector<HookJob>& jobs,
                                           const std::vector<HookEnd>& ends) {
  std::vector<std::string> services, details;
  for (size_t i = 0; i < std::min(jobs.size(), ends.size()); ++i) {
    if (ends[i].outcome == HookOutcome::kPassed) continue;
    services.insert(services.end(), jobs[i].services.begin(), jobs[i].services.end());
    details.push_back(fmt::format("{}: pre_flip {}: {}", listed(jobs[i].services),
                                  jobs[i].run.command.front(), ends[i].reason));
  }
  if (services.empty()) return std::nullopt;
  return Refusal{422, "refused", "nothing was changed: the hook pre_flip refuses " + listed(services),
                 "--force flips all the same, and does not run the hook", std::move(details)};
}

std::optional<Refusal> loses_reach(const Catalogue& before, const Catalogue& after,
                                   const std::vector<BackendWithoutHop>& new_without_hop,
                                   const HopStates& hops, Clock::Time now, uint32_t dataplane_pid) {
  std::unordered_map<Socket, std::string, SocketHash> problems;
  for (const BackendWithoutHop& backend : new_without_hop) problems[backend.socket] = backend.problem;
  for (const auto& [socket, backend] : backends_by_socket(before.inventory()))
    if (const auto& state = hops.of(backend->id); is_unreachable(state, now, dataplane_pid))
      problems[socket] = problem_text(state);
  // Returns a line for each backend that takes new flows. Nothing: one of them can be reached.
  const auto why_dead = [&](const CatalogueService& service,
                            Colour colour) -> std::optional<std::vector<std::string>> {
    std::vector<std::string> lines;
    for (const PoolMember& member : service.pools[static_cast<size_t>(colour)]) {
      if (member.weight == 0) continue;
      const auto problem = problems.find(member.socket);
      if (problem == problems.end()) return std::nullopt;
      lines.push_back(fmt::format("{}/{}/{}: {}", service.config->name, name_of(colour),
                                  to_string(member.socket), problem->second));
    }
    return lines;
  };
  std::vector<std::string> dead, details;
  for (const CatalogueService& service : after.services()) {
    const CatalogueService* const present = before.find(service.config->name);
    if (present == nullptr) continue;  // nobody uses it yet
    const ServiceState& state = after.state(service);
    for (const Colour colour : {state.active, other(state.active)}) {
      const bool is_active = colour == state.active;
      if ((!is_active && !state.ramp) || why_dead(*present, colour)) continue;
      const auto lines = why_dead(service, colour);
      if (!lines) continue;
      dead.push_back(fmt::format("no backend of {}, {} colour of {}, can be reached", name_of(colour),
                                 is_active ? "the active" : "the ramp's", state.name));
      details.insert(details.end(), lines->begin(), lines->end());
    }
  }
  if (dead.empty()) return std::nullopt;
  details.resize(std::min(details.size(), kMaxDetails));
  return Refusal{422, "refused", "nothing was changed: " + listed(dead),
                 "correct the file; --force takes it over all the same", std::move(details)};
}

Refusal called_off_during_pre_flip(const std::string& user) {
  return {409,
          "conflict",
          fmt::format("nothing was changed: {} went back while the hook pre_flip ran", user),
          "look at `teal history`, then repeat the command",
          {}};
}

Refusal changed_during_pre_flip() {
  return {409, "conflict",
          "nothing was changed: the services, or the config, were changed while the hook pre_flip ran",
          "look at `teal history`, then repeat the command"};
}

std::optional<Refusal> all_reasons(std::vector<Refusal> refusals) {
  if (refusals.empty()) return std::nullopt;
  Refusal all = std::move(refusals.front());
  for (size_t i = 1; i < refusals.size(); ++i) {
    const Refusal& next = refusals[i];
    all.message += "; ";
    all.message += next.reason();
    all.details.insert(all.details.end(), next.details.begin(), next.details.end());
  }
  return all;
}

void warn_of(const Reach& reach, Change& change) {
  change.warnings.insert(change.warnings.end(), reach.warnings.begin(), reach.warnings.end());
  change.warnings.insert(change.warnings.end(), reach.sizes.begin(), reach.sizes.end());
}

void tell_forced(const std::vector<ClosedGate>& closed, Change& change) {
  for (auto& entry : change.fields.at("changed"))
    for (const auto& [name, services] : closed)
      if (std::find(services.begin(), services.end(), entry.at("service")) != services.end())
        entry["forced"].push_back(name);
}

nlohmann::ordered_json pre_flip_json(const std::vector<HookJob>& jobs) {
  auto list = nlohmann::ordered_json::array();
  for (const HookJob& job : jobs)
    list.push_back({{"services", job.services},
                    {"command", job.run.command.front()},
                    {"timeout_seconds", std::chrono::duration<double>(job.run.timeout).count()}});
  return list;
}

}  // namespace teal
