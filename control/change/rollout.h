// SPDX-License-Identifier: Apache-2.0
//
// The plans of flips and rollbacks: pure functions of the request and of the services' colours. They read
// neither a clock nor the disk nor the segment.
//
// A request is carried out whole or not at all. It is refused if it names a service that does not exist, or
// if one of its services cannot take the colour. A service that already has its colour is listed as
// unchanged.
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
#include "control/state/catalogue.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

struct RolloutRequest {
  enum class Verb { kFlip, kRollback };
  Verb verb = Verb::kFlip;
  Selection what;                         // a rollback to a generation may leave it empty: all services
  Colour to = Colour::kBlue;              // of a flip
  std::optional<uint64_t> to_generation;  // of a rollback: the colours go back to those of this generation
};

// The part of a service's state that a rollout depends on.
struct RolloutService {
  std::string name;
  uint16_t id = kNoId;
  Colour active = Colour::kBlue;
  std::optional<Colour> previous;
  std::array<bool, kColours> takes_flows = {true, true};  // by Colour: a backend is ready and has a weight
  std::optional<Colour> back_then;  // its active colour at to_generation; nothing: as now
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

RolloutView view_of(const Catalogue& catalogue);

// A rollback returns each service to its previous colour, so a second rollback undoes the first. A service
// that was never flipped is refused if it is named; as a member of a group it stays unchanged, unless no
// service of the group was ever flipped.
tl::expected<RolloutPlan, Refusal> plan_rollout(const RolloutRequest& request, const RolloutView& view);

Change change_of(const RolloutPlan& plan, RolloutRequest::Verb verb, const Catalogue& catalogue);

// Returns the services that `what` names, in its order, each once.
tl::expected<std::vector<const RolloutService*>, Refusal> select_services(const Selection& what,
                                                                          const RolloutView& view);

// Returns the active colours of services at an earlier generation, by name. `flips` are the changes of all
// flips and rollbacks that were published since, newest first, as the history shows them:
// [{"service","from","to"}]. Services that were not flipped since are left out.
std::unordered_map<std::string, Colour> colours_before(const std::vector<std::string>& flips);

Refusal unknown_service(const std::string& name, const std::vector<std::string>& known);

// Returns "a, b, c". After ten names it ends with "and N more".
std::string listed(std::span<const std::string> names);

}  // namespace teal
