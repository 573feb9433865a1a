// SPDX-License-Identifier: Apache-2.0
#include "control/change/reach.h"

#include <fmt/format.h>

namespace teal {

namespace {

constexpr size_t kMaxDetails = 20;

// Adds what is known about one service's new colour.
void look_at(const ColourChange& change, const std::vector<PoolMember>& pool, const BackendFacts& facts,
             Clock::Time now, uint32_t dataplane_pid, Reach& reach) {
  const std::string colour = name_of(change.to);
  size_t takers = 0, unreachable = 0, silent = 0;
  std::vector<std::string> without_hop, down;
  for (const PoolMember& member : pool) {
    if (member.weight == 0) continue;
    ++takers;
    if (facts.health.is_down(member.id)) {
      ++unreachable;
      const std::string address = to_string(member.socket), reason = facts.health.of(member.id)->reason;
      down.push_back(fmt::format("{} ({})", address, reason));
      reach.backends.push_back(fmt::format("{}/{}/{}: down: {}", change.name, colour, address, reason));
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
  for (const ColourChange& change : plan.changes)
    look_at(change, catalogue.find(change.name)->pools[static_cast<size_t>(change.to)], facts, now,
            dataplane_pid, reach);
  return reach;
}

Refusal cannot_serve(const Reach& reach, Colour to) {
  std::vector<std::string> details = reach.backends;
  if (details.size() > kMaxDetails) {
    details.resize(kMaxDetails);
    details.push_back(fmt::format("and {} more", reach.backends.size() - kMaxDetails));
  }
  return {422, "refused",
          fmt::format("nothing was changed: no {} backend of {} {}", name_of(to), listed(reach.dead),
                      reach.has_down ? "is up and can be reached" : "can be reached"),
          reach.has_down ? "teal health and teal backend list show why; --force flips all the same"
                         : "teal backend list shows each backend's next hop; --force flips all the same",
          std::move(details)};
}

}  // namespace teal
