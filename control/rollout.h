// SPDX-License-Identifier: Apache-2.0
//
// What a command would change: pure functions of the services' targets and the request. No clock, no disk, no
// segment.
//
// All or nothing: one name that does not exist, or one service that cannot go where it is asked to, refuses
// the whole request. A service that is already where it should be is no error: it is listed as unchanged.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "control/config.h"
#include "control/refusal.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

struct RolloutRequest {
  enum class Verb { kFlip, kRollback };
  Verb verb = Verb::kFlip;
  std::vector<std::string> services;  // either these
  std::optional<std::string> group;   // or this
  Colour to = Colour::kBlue;          // of a flip
  std::optional<uint64_t> if_generation;
  std::string reason;
};

// A service as a rollout sees it.
struct RolloutService {
  std::string name;
  uint16_t id = kNoId;
  Colour active = Colour::kBlue;
  std::optional<Colour> previous;
  std::array<bool, kColours> takes_flows = {true, true};  // has the colour a backend with a weight?
};

struct RolloutView {
  uint64_t generation = 0;
  std::vector<RolloutService> services;
  std::span<const GroupConfig> groups;
};

struct TargetChange {
  uint16_t service = kNoId;
  std::string name;
  Colour from = Colour::kBlue;
  Colour to = Colour::kBlue;
};

struct RolloutPlan {
  std::vector<TargetChange> changes;
  std::vector<std::string> unchanged;  // names
};

// Rollback returns each service to the target before, so a second rollback undoes the first. A named service
// that was never flipped is refused; as a member of a group it stays unchanged, unless none of the group was
// ever flipped.
tl::expected<RolloutPlan, Refusal> plan_rollout(const RolloutRequest& request, const RolloutView& view);

// "a, b, c", at most ten of them, then "and N more".
std::string listed(std::span<const std::string> names);

}  // namespace teal
