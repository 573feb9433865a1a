// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/hop_states.h"

#include <net/if.h>

#include <fmt/format.h>

namespace teal {

namespace {

std::string interface_name(uint32_t ifindex) {
  char name[IF_NAMESIZE];
  return if_indextoname(ifindex, name) == nullptr ? fmt::format("interface {}", ifindex) : name;
}

}  // namespace

void HopStates::set(uint16_t backend, HopState state) {
  std::optional<HopState>& known = states_[backend];
  if (known && known->problem == state.problem) state.since = known->since;
  known = state;
}

bool is_unreachable(const std::optional<HopState>& state, Clock::Time now, uint32_t dataplane_pid) {
  if (!state) return false;
  switch (state->problem) {
    case HopProblem::kNone:
      return false;
    case HopProblem::kNoRoute:
      return true;
    case HopProblem::kNoPort:
      return dataplane_pid != 0 && state->dataplane_pid == dataplane_pid;
    case HopProblem::kNoAnswer:
      return now - state->since >= kLongestSilence;
  }
  return false;
}

std::string problem_text(const std::optional<HopState>& state) {
  if (!state) return "";
  switch (state->problem) {
    case HopProblem::kNone:
      return "";
    case HopProblem::kNoRoute:
      return "no route";
    case HopProblem::kNoPort:
      return fmt::format("the route leaves by {}, which is not a port", interface_name(state->ifindex));
    case HopProblem::kNoAnswer:
      return fmt::format("no answer from {} on {}", state->neighbour.to_string(),
                         interface_name(state->ifindex));
  }
  return "";
}

}  // namespace teal
