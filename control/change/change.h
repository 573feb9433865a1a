// SPDX-License-Identifier: Apache-2.0
//
// What a verb asks for, and what it is answered. A Change is what the verb's plan comes to: the records as
// they shall be. Plans are pure functions; the ChangeExecutor carries them out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "control/change/refusal.h"
#include "control/config/config.h"
#include "control/state/inventory.h"
#include "dataplane/shm/publication.h"

namespace teal {

// What every change takes.
struct ChangeOptions {
  std::optional<uint64_t> if_generation;  // refused (conflict) unless the generation is this one
  std::string reason;                     // for the history
  bool dry_run = false;                   // says what it would do
  uint32_t uid = 0;                       // whose it is
};

// Either services by name, or a group.
struct Selection {
  std::vector<std::string> services;
  std::optional<std::string> group;
};

struct DrainRequest {  // at least one of the two
  Selection what;
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<DrainConfig::Then> then;
};

struct BackendRequest {  // at least one of the two
  struct Weight {
    std::optional<uint32_t> value;  // nothing: what the file says
  };
  std::string service;
  Colour colour = Colour::kBlue;
  Socket address;  // its protocol is not looked at
  std::optional<AdminState> state;
  std::optional<Weight> weight;
};

Refusal conflict(uint64_t expected, uint64_t present);
nlohmann::ordered_json lock_json(const std::optional<ChangeLock>& lock);  // null: none

struct ChangeResult {
  uint64_t generation = 0;
  bool dry_run = false;
  nlohmann::ordered_json fields = nlohmann::ordered_json::object();  // the verb's own: "changed", "plan", ...
  Adoption adoption;
  bool dataplane_running = false;
  std::vector<std::string> warnings;
};

struct Change {
  std::string verb;  // as in the history
  // The answer's own; "changed", or "plan" of a reload, is the history's too, and says enough for a start to
  // apply what teald did not live to record (recovery.h).
  nlohmann::ordered_json fields = nlohmann::ordered_json::object();
  std::vector<std::string> warnings;

  // The records as they shall be. New service states alone are new targets, which is all that a flip needs;
  // the others make a new ruleset.
  std::vector<ServiceState> services;
  std::vector<BackendState> backends;
  std::shared_ptr<const Config> config;        // of a reload, with
  std::shared_ptr<const Inventory> inventory;  // its inventory
  bool is_flip = false;                        // the services' flips are this publication
  bool is_reset = false;                       // flows of the services' other colour are reset
  bool despite_disk = false;                   // goes ahead when the disk fails

  bool empty() const { return services.empty() && backends.empty() && config == nullptr; }
  bool needs_ruleset() const { return !backends.empty() || config != nullptr; }
};

}  // namespace teal
