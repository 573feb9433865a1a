// SPDX-License-Identifier: Apache-2.0
//
// Says what a flip or a rollback is worth: whether the backends of the new colours are up by their checks,
// whether the dataplane can send packets to them, and whether they are enough. Joins what the gates of a way
// forward say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/change/refusal.h"
#include "control/change/rollout.h"
#include "control/health/health_board.h"
#include "control/hooks/hook_runner.h"
#include "control/kernel/hop_states.h"
#include "control/state/catalogue.h"

namespace teal {

struct Reach {
  std::vector<std::string> dead;       // services none of whose backends of the new colour can serve
  bool is_undecided = false;           // a service is dead unless a neighbour answers in time
  bool has_down = false;               // a check says that a backend is down
  std::vector<std::string> too_small;  // services whose new colour is below min_capacity
  std::vector<std::string> sizes;      // a sentence for each of them
  std::vector<std::string> backends;   // those that cannot serve: "web/green/198.18.2.21:8080: no route"
  std::vector<std::string> warnings;   // for each service with such backends
};

// What is known about backends.
struct BackendFacts {
  const HopStates& hops;
  const HealthBoard& health;
};

// Looks at the backends that take new flows of each service that the plan changes. `dataplane_pid` is of the
// dataplane that runs (Publisher::dataplane_pid).
Reach reach_of(const RolloutPlan& plan, const Catalogue& catalogue, const BackendFacts& facts,
               Clock::Time now, uint32_t dataplane_pid);

// The refusal of a way back to services that are `dead`, or of a way forward to services that are dead or too
// small. It has all reasons. Nothing: it is not refused, or the plan changes nothing.
std::optional<Refusal> cannot_serve(const Reach& reach, const RolloutPlan& plan);

// A gate that a way forward did not pass: "reach", "min_capacity", "require_preview", "judgement" or
// "pre_flip".
struct ClosedGate {
  const char* name;
  std::vector<std::string> services;
};

// Returns the same for a way forward, and adds the gates that are closed.
std::optional<Refusal> reach_gates(const Reach& reach, const RolloutPlan& plan,
                                   std::vector<ClosedGate>& closed);
// The refusal by hooks that did not end with 0. Nothing: all hooks did.
std::optional<Refusal> refused_by_pre_flip(const std::vector<HookJob>& jobs,
                                           const std::vector<HookEnd>& ends);
// The services were changed, or the config, since the hooks began.
Refusal changed_during_pre_flip();
// A user went back meanwhile.
Refusal called_off_during_pre_flip(const std::string& user);
// One refusal with all reasons; nothing: there are none.
std::optional<Refusal> all_reasons(std::vector<Refusal> refusals);

// A backend that a reload adds, and to which the dataplane cannot send packets.
struct BackendWithoutHop {
  std::string name;  // "web/blue/198.18.2.11:8080"
  Socket socket;
  std::string problem;
};
// The refusal of a reload by which a colour that gets new flows would lose its last backend that can be
// reached. A colour that is dead already may stay so: the file may change other things.
std::optional<Refusal> loses_reach(const Catalogue& before, const Catalogue& after,
                                   const std::vector<BackendWithoutHop>& new_without_hop,
                                   const HopStates& hops, Clock::Time now, uint32_t dataplane_pid);

// Adds what is known about backends that cannot serve to the warnings of the change.
void warn_of(const Reach& reach, Change& change);
// Adds the gates that force has passed to the entries of the change.
void tell_forced(const std::vector<ClosedGate>& closed, Change& change);
// [{"services","command","timeout_seconds"}]: the hooks that the change waits for.
nlohmann::ordered_json pre_flip_json(const std::vector<HookJob>& jobs);

}  // namespace teal
