// SPDX-License-Identifier: Apache-2.0
//
// The plans of flips, rollbacks and ramps: pure functions of the request and of the services' colours. The
// plans use no clock, no disk and no segment.
//
// A rollback undoes the latest flip of a service, unless it is undone already. So a second rollback changes
// nothing:
//
//   request                        active   to undo
//   flip to green                  green    the flip, back to blue
//   rollback                       blue     nothing
//   rollback                       blue     nothing: unchanged
//
// A flip back by hand undoes a flip, too, if the flip is not settled yet (flip_back_undoes()). Later, it is a
// release like any other, and a rollback undoes it. A flip that is a release for one of several services is a
// release for each.
//
// A ramp gives the idle colour a growing share of the new flows. Its last step is a flip, which a rollback
// undoes. Before that, a rollback is an abort: it takes the share back. A ramp forgets the flip before it, as
// it brings something new into the idle colour: nobody may return there by a second rollback.
//
//   request                        active   share of the other   to undo
//   ramp to green, 5%, 100%        blue     5%                   nothing
//   abort, or rollback             blue     0                    nothing
//   ramp to green, 5%, 100%        blue     5%                   nothing
//   next, or the step's time ends  green    0                    the flip, back to blue
//
// A flip to the ramp's colour completes the ramp at once, and a flip to the active colour aborts it.
//
// A request is carried out whole or not at all. It is refused if it names a service that does not exist, or
// if no backend of a service takes new flows in the new colour. Force does not pass this gate, and a rollback
// has it, too. A service that already has its colour is listed as unchanged.
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
  enum class Verb { kFlip, kRollback, kRamp, kNext, kAbort };
  Verb verb = Verb::kFlip;
  Selection what;             // all services: only a rollback to a generation
  Colour to = Colour::kBlue;  // of a flip or ramp
  bool force = false;         // forwards although no backend of the colour can be reached
  bool now = false;           // a flip at once, where the config has a ramp for it
  // Of a ramp. What is not given is that of the config, if the config has a ramp for the service.
  struct Steps {
    std::vector<uint16_t> steps;  // none: not given
    std::optional<std::chrono::milliseconds> every;
    std::optional<bool> manual;
  };
  Steps ramp = {};
  std::optional<uint64_t> to_generation;    // of a rollback: the colours go back to those of this generation
  std::optional<uint64_t> seen_generation;  // of a rollback: it undoes no flip that is later than this
};

// The part of a service's state that a rollout depends on.
struct RolloutService {
  std::string name;
  uint16_t id = kNoId;
  Colour active = Colour::kBlue;
  std::optional<Undo> undo;
  uint64_t flip_generation = 0;                           // 0: never flipped
  uint64_t added_after = 0;                               // it did not exist in this generation
  std::array<bool, kColours> takes_flows = {true, true};  // by Colour: a backend is ready and has a weight
  std::array<std::string, kColours> commands_to_serve;    // where no backend does, the command that helps
  bool flip_back_undoes = false;                          // a flip to undo->to undoes the latest flip
  std::optional<Ramp> ramp;                               // under way
  std::optional<RampPlan> rollout;                        // of the config
  bool waits = false;                                     // its latest step is a release that waits
  std::optional<Colour> back_then;  // its active colour at to_generation; nothing: as now
};

struct RolloutView {
  std::vector<RolloutService> services;
  std::span<const GroupConfig> groups;
};

// Describes what a plan does to the colours of one service.
struct ColourChange {
  enum class Kind {
    kFlip,   // `to` becomes active
    kShare,  // `to`, the idle colour, gets another share: a ramp begins or goes on
    kAbort,  // `to`, the active colour, takes the share back
  };
  Kind kind = Kind::kFlip;
  uint16_t service = kNoId;
  std::string name;
  Colour from = Colour::kBlue;  // the other colour
  Colour to = Colour::kBlue;
  std::optional<uint64_t> undoes;  // the generation of the flip that this change undoes
  bool is_release = false;         // a rollback undoes this change
  uint16_t share_before = 0;       // of the idle colour
  std::optional<Ramp> ramp;        // as it shall be; nothing: none
};

// Returns whether the change brings something new to the users: a flip that a rollback undoes, or the begin
// of a ramp. The later steps of a ramp do not.
inline bool begins_release(const ColourChange& change) {
  if (change.kind == ColourChange::Kind::kShare) return change.ramp && change.ramp->id == 0;
  return change.kind == ColourChange::Kind::kFlip && change.is_release && change.share_before == 0;
}

struct RolloutPlan {
  std::vector<ColourChange> changes;
  std::vector<std::string> unchanged;  // names

  // The names of these services are in `unchanged`, too.
  std::vector<std::string> nothing_to_undo;
  std::vector<std::string> added_since;  // they did not exist at to_generation
  std::vector<std::string> on_a_ramp;    // of a flip: on the way to the colour, step by step

  // These services take the steps of `steps_of`: the config has other steps for them, or none.
  std::vector<std::string> follow_steps;
  std::string steps_of;

  std::optional<std::string> flipped_later;  // a service with a flip later than seen_generation: a conflict
};

RolloutView view_of(const Catalogue& catalogue);

// Returns whether a flip back to the colour before undoes the latest flip: that colour still has flows, or
// the flip is at most an hour old.
bool flip_back_undoes(const ServiceState& service, bool has_flows, int64_t now_ms);

tl::expected<RolloutPlan, Refusal> plan_rollout(const RolloutRequest& request, const RolloutView& view);

Change change_of(const RolloutPlan& plan, RolloutRequest::Verb verb, const Catalogue& catalogue);

// Returns whether the verb gives new flows to another colour, so that its gates can refuse it. The ways back
// are never refused for what Teal knows about the colour.
constexpr bool goes_forward(RolloutRequest::Verb verb) {
  return verb != RolloutRequest::Verb::kRollback && verb != RolloutRequest::Verb::kAbort;
}

// Returns the warning of a flip that takes back another one: after it, a rollback has nothing to undo
// (decision 16). Returns "" for any other change.
std::string way_back_is_lost(const RolloutPlan& plan, RolloutRequest::Verb verb);

// Returns the warning that some services take the steps of another one; "" if none does.
std::string steps_are_shared(const RolloutPlan& plan);

// Describes how the service got its active colour: "green is active since generation 13, a flip by alice".
// `user` is the name of the user, or "".
std::string flip_text(const ServiceState& service, const std::string& user);

// The service has nothing to undo; the API answers this with a rollback.
nlohmann::ordered_json nothing_to_undo_json(const ServiceState& service, const std::string& user);

// The service was flipped later than the generation that the request saw.
Refusal flipped_later(const ServiceState& service, const std::string& user, uint64_t seen_generation);

// Returns the services that `what` names, in its order, each once.
tl::expected<std::vector<const RolloutService*>, Refusal> select_services(const Selection& what,
                                                                          const RolloutView& view);

// Returns the active colours of services at an earlier generation, by name. `flips` are the changes of all
// flips and rollbacks that were published since, newest first, as the history shows them:
// [{"service","from","to"}]. Services that were not flipped since are left out.
std::unordered_map<std::string, Colour> colours_before(const std::vector<std::string>& flips);

// [{"service","steps","every_seconds","manual"}]: the ramps that the plan begins.
nlohmann::ordered_json ramps_json(const RolloutPlan& plan);

Refusal unknown_service(const std::string& name, const std::vector<std::string>& known);

// Returns "a, b, c". After ten names it ends with "and N more".
std::string listed(std::span<const std::string> names);

}  // namespace teal
