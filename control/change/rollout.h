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
#include <unordered_map>
#include <vector>

#include <tl/expected.hpp>

#include "control/change/change.h"
#include "control/change/refusal.h"
#include "control/config/config.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

struct RolloutRequest {
  enum class Verb { kFlip, kRollback };
  Verb verb = Verb::kFlip;
  Selection what;             // neither services nor a group: all services, of a rollback to a generation
  Colour to = Colour::kBlue;  // of a flip
  std::optional<uint64_t> to_generation;  // of a rollback: the targets as they were then
};

// A service as a rollout sees it.
struct RolloutService {
  std::string name;
  uint16_t id = kNoId;
  Colour active = Colour::kBlue;
  std::optional<Colour> previous;
  std::array<bool, kColours> takes_flows = {true,
                                            true};  // has the colour a backend that is ready, with a weight?
  std::optional<Colour> back_then;                  // its active colour at to_generation; nothing: as now
};

struct RolloutView {
  std::vector<RolloutService> services;
  std::span<const GroupConfig> groups;
};

struct ColourChange {
  uint16_t service = kNoId;
  std::string name;
  Colour from = Colour::kBlue;
  Colour to = Colour::kBlue;
};

struct RolloutPlan {
  std::vector<ColourChange> changes;
  std::vector<std::string> unchanged;  // names
};

// Rollback returns each service to the target before, so a second rollback undoes the first. A named service
// that was never flipped is refused; as a member of a group it stays unchanged, unless none of the group was
// ever flipped.
tl::expected<RolloutPlan, Refusal> plan_rollout(const RolloutRequest& request, const RolloutView& view);

// The services that `what` names, in its order, each once.
tl::expected<std::vector<const RolloutService*>, Refusal> select_services(const Selection& what,
                                                                          const RolloutView& view);

// The active colours of services at an earlier generation, by name: `flips` are the histories' changes of all
// flips and rollbacks that were published since, newest first, as JSON [{"service","from","to"}].
std::unordered_map<std::string, Colour> colours_before(const std::vector<std::string>& flips);

Refusal unknown_service(const std::string& name, const std::vector<std::string>& known);

// "a, b, c", at most ten of them, then "and N more".
std::string listed(std::span<const std::string> names);

}  // namespace teal
