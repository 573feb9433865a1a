// SPDX-License-Identifier: Apache-2.0
//
// The ids of services and backends, and the state of each: active colour, drain, admin states, weights. The
// inventory outlives teald: the database keeps it (state.h), and the segment refers to services and backends
// by these ids.
//
// A service or backend keeps its id for life, because flow entries hold the backend's id and find the service
// by it:
//   service  is recognised by its name; a service that was renamed is recognised by its VIP
//   backend  is recognised by its socket within its service
// A service or backend that leaves the config is retired: it keeps its id, and the workers keep classifying
// its packets, until no flow holds it.
//
// A socket that moves from one service to another gets a new id, because flows of the old id belong to the
// old service: their location in the flow table follows from the service's id. The retired record then has a
// socket that no packet carries (standin_socket), until its flows have ended.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <tl/expected.hpp>

#include "control/config/config.h"
#include "control/publish/ruleset_builder.h"
#include "control/state/ramp.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

struct SocketHash {
  size_t operator()(const Socket& socket) const { return socket_hash(socket); }
};

// The state that an operator gives to a backend in one colour's pool.
enum class AdminState : uint8_t {
  kReady,
  kDrain,  // takes no new flows; its flows stay
  kMaint,  // takes no new flows; its flows are reset
};
inline constexpr std::array<const char*, 3> kAdminStateNames = {"ready", "drain", "maint"};

// The values of a backend in one colour's pool that were set at run time. They override the file.
struct Membership {
  AdminState admin = AdminState::kReady;
  std::optional<uint32_t> weight;

  friend bool operator==(const Membership&, const Membership&) = default;
};

// Teal refuses every change of an operator until the lock is taken off.
struct ChangeLock {
  uint32_t uid = 0;
  std::string user;
  std::string reason;
  int64_t at_ms = 0;     // since 1970, UTC
  bool by_root = false;  // the user logged in and became root

  friend bool operator==(const ChangeLock&, const ChangeLock&) = default;
};

// The latest flip of a service, which a rollback undoes.
struct Undo {
  Colour to = Colour::kBlue;  // the colour that the rollback returns to
  uint64_t generation = 0;    // of the flip

  friend bool operator==(const Undo&, const Undo&) = default;
};

enum class FlipVerb : uint8_t { kFlip, kRollback, kRamp, kAbort };
inline constexpr std::array<const char*, 4> kFlipVerbNames = {"flip", "rollback", "ramp", "abort"};

// Describes the request that made the present colour active.
struct FlippedBy {
  FlipVerb verb = FlipVerb::kFlip;
  uint32_t uid = 0;

  friend bool operator==(const FlippedBy&, const FlippedBy&) = default;
};

struct ServiceState {
  uint16_t id = kNoId;
  std::string name;
  Socket vip;
  std::optional<Socket> preview;  // the address that leads to the idle colour
  bool affinity_client = false;
  bool retired = false;
  Colour active = Colour::kBlue;
  std::optional<Colour> previous;  // active before the latest flip or rollback; nothing: never flipped
  uint64_t flip_generation = 0;    // 0: never flipped
  int64_t flipped_at_ms = 0;       // since 1970, UTC
  // Values of the drain under way that were set at run time. The next flip forgets them.
  std::optional<std::chrono::milliseconds> drain_timeout;
  std::optional<DrainConfig::Then> drain_then;
  std::optional<Undo> undo;             // nothing: the latest flip is undone, or there was none
  std::optional<FlippedBy> flipped_by;  // nothing: never flipped, or unknown
  uint64_t added_after = 0;             // the generation in force when it was added: it did not exist then
  std::optional<Ramp> ramp;             // to the idle colour; nothing: all new flows go to the active colour
  std::vector<IpPrefix> preview_clients;  // they get the idle colour; of the VIP's family

  uint16_t share() const { return ramp ? ramp->share() : 0; }  // of the idle colour, in 1/kShareOne
  // The idle colour is idle in this service since this generation.
  uint64_t idle_since() const { return std::max(flip_generation, added_after + 1); }
  friend bool operator==(const ServiceState&, const ServiceState&) = default;
};

struct BackendState {
  uint16_t id = kNoId;
  uint16_t service = kNoId;  // id
  Socket socket;
  bool retired = false;
  std::array<Membership, kColours> members = {};  // by Colour

  friend bool operator==(const BackendState&, const BackendState&) = default;
};

struct Inventory {
  std::vector<ServiceState> services;
  std::vector<BackendState> backends;
  uint64_t given_generation = 0;      // the highest that was ever given to a change, published or not
  uint64_t reserved_generation = 0;   // the highest that may have been given to a change that is not recorded
  uint64_t published_generation = 0;  // the highest that is known to have been published
  // The number of the latest change that an operator made: its generation; of a lock, a number between
  // generations. 0: none.
  uint64_t revision = 0;
  std::optional<ChangeLock> lock;

  ServiceState* service(uint16_t id);
  const ServiceState* service(uint16_t id) const { return const_cast<Inventory*>(this)->service(id); }
  const ServiceState* service(const std::string& name) const;  // one that is not retired
  bool has_retired() const;
};

// Returns a socket that no packet carries. It has the protocol and the IP version of `instead_of`.
Socket standin_socket(uint16_t id, const Socket& instead_of);

// Returns the backends that are not retired. They belong to `inventory`.
using BackendsBySocket = std::unordered_map<Socket, const BackendState*, SocketHash>;
BackendsBySocket backends_by_socket(const Inventory& inventory);

struct Renumbered {
  Inventory inventory;
  std::vector<std::string> notes;  // for the log: what was retired, renamed, moved
};

// Returns `stored` in line with `config`. The error: no id is free, because retired services or backends hold
// them.
tl::expected<Renumbered, std::string> renumber(const Inventory& stored, const Config& config);

// Returns the inventory of a published ruleset, for a database that was lost while a segment with flows lived
// on.
Inventory inventory_of(const Ruleset& ruleset, const TrafficSplits& splits);

// Returns 0 if the admin state keeps new flows away.
uint32_t weight_in_force(const BackendConfig& file, const Membership& member);

// Returns the drain under way: the values of the config, and those that were set since the flip.
DrainConfig effective_drain(const ServiceConfig& file, const ServiceState& state);

RulesetInput ruleset_input(const Inventory& inventory, const Config& config);

// Returns whether both forward alike. Entries that are not used are not compared.
bool same_rules(const Ruleset& a, const Ruleset& b);

}  // namespace teal
