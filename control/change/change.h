// SPDX-License-Identifier: Apache-2.0
//
// A Change says what a verb of an operator, or upkeep, wants to set, and how it is answered. Plans are pure
// functions that make Changes; the ChangeExecutor carries them out.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "control/change/refusal.h"
#include "control/config/config.h"
#include "control/state/inventory.h"
#include "control/state/state.h"
#include "dataplane/shm/publication.h"

namespace teal {

// A request that its sender may repeat.
struct RequestId {
  std::string id;
  uint64_t content = 0;  // a hash of what it asks, without its preconditions
};

// The options that every verb takes.
struct ChangeOptions {
  std::optional<uint64_t> if_generation;  // refused (conflict) unless this is the present generation
  std::optional<uint64_t> if_revision;    // the same for the revision
  std::string reason;                     // for the history
  bool dry_run = false;                   // answers what the change would do, and does nothing
  Actor actor = {};                       // who asks
  std::optional<RequestId> request = {};  // nothing: a repetition makes the change again
  // Asked when the change's turn has come: a change that nobody waits for any more is not made.
  std::function<bool()> client_is_gone = [] { return false; };
};

// Either services by name, or a group, or all services.
struct Selection {
  std::vector<std::string> services;
  std::optional<std::string> group;
  bool all = false;
};

struct ChangeResult {
  uint64_t generation = 0;
  uint64_t revision = 0;
  bool dry_run = false;
  nlohmann::ordered_json fields = nlohmann::ordered_json::object();  // the verb's own: "changed", "plan", ...
  Adoption adoption;
  bool dataplane_running = false;
  bool recorded = true;  // false: the change is made, and the disk does not have it yet
  std::vector<std::string> warnings;
  std::string way_back;  // as in the Change
  // The answer to the first request, if this one repeats it. Then the other fields do not count.
  nlohmann::ordered_json first_answer = nullptr;
};

struct Change {
  std::string verb;  // as in the history
  // The verb's own fields of the answer. The history shows "changed", or "plan" of a reload.
  nlohmann::ordered_json fields = nlohmann::ordered_json::object();
  // Completes the fields once the change is published: deadlines count from then.
  std::function<void(nlohmann::ordered_json& fields)> complete = [](nlohmann::ordered_json&) {};
  std::vector<std::string> warnings;
  std::string way_back;  // the command that undoes it: "teal rollback web"

  // The states as they shall be. Service states alone need new traffic splits only, as a flip does. Previews,
  // backend states, an inventory or a config need a new ruleset.
  std::vector<ServiceState> services;
  std::vector<BackendState> backends;
  std::shared_ptr<const Config> config;  // of a reload, with its inventory
  // A reload's config with another text that forwards alike. The text is kept, and nothing is published.
  std::shared_ptr<const Config> reworded;
  std::shared_ptr<const Inventory> inventory;  // of a reload, or without the retired ids that are released
  std::optional<LockChange> lock;              // publishes nothing
  bool republish = false;                      // sets nothing; the segment gets everything
  bool sets_preview = false;                   // its services get other clients of previews

  std::vector<uint16_t> flips;  // ids of services whose flip or abort this publication is
  bool is_reset = false;        // flows of the services' idle colour are reset
  bool releases_ids = false;    // the database keeps the released ids for another grace period
  bool is_upkeep = false;       // nobody asked for it: it raises no revision
  bool despite_disk = false;    // is published first and then recorded, so no disk can hold it up
  bool is_retry = false;        // an attempt before has failed: another failure is not recorded
  bool despite_lock = false;    // goes ahead when changes are locked: upkeep, and unlock itself

  bool empty() const {
    return services.empty() && backends.empty() && config == nullptr && inventory == nullptr && !lock &&
           !republish;
  }
  bool needs_ruleset() const {
    return sets_preview || !backends.empty() || config != nullptr || inventory != nullptr || republish;
  }
};

// Gives the flips and the new ramps of the change their generation.
void number_states(Change& change, uint64_t generation, const Actor& actor, int64_t now_ms);
// Returns the states of the services that the change flips.
std::vector<ServiceState> flipped(const Change& change);

// The values of a change that recovery applies if teald does not live to record the result. A reload has
// none: its inventory is saved with the intent, and a start reads the config file anyway.
ChangeRecord record_of(const Change& change);

// Returns the list that the history and the events show: the entries of "changed", or the entries of a
// reload's plan, each with the name of its list under "what".
nlohmann::ordered_json shown_changes(const Change& change);

// The answer to the request, as the API sends it and as the database keeps it for repetitions.
nlohmann::ordered_json answer_json(const ChangeResult& result);

}  // namespace teal
