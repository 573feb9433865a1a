// SPDX-License-Identifier: Apache-2.0
//
// Which service and which backend has which id, and what each service's target is. This is what outlives
// teald: the database keeps it (state.h), and what the segment holds goes by its ids.
//
// An id belongs to its service or backend for life, as flow entries hold the backend's id and find the
// service by it:
//   service  known by its name; a service that was renamed is known again by its VIP
//   backend  known by its socket within its service
// What leaves the config is retired: it keeps its id, and the workers keep classifying for it, until no flow
// holds it.
//
// A socket that moves from one service to another gets a new id: flows of the old id belong to the old
// service (their place in the flow table follows from the service's id). The retired record then gives its
// socket away and stands in the ruleset under a socket that no packet carries (standin_socket), until its
// flows have aged out.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "control/config/config.h"
#include "control/publish/ruleset_builder.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

struct SocketHash {
  size_t operator()(const Socket& socket) const { return socket_hash(socket); }
};

// What an operator says of a backend in one colour's pool.
enum class AdminState : uint8_t {
  kReady,
  kDrain,  // takes no new flows; those it has stay
  kMaint,  // takes no new flows; those it has are reset
};
inline constexpr std::array<const char*, 3> kAdminStateNames = {"ready", "drain", "maint"};

// A backend's place in one colour's pool, as far as it was set at run time: this beats the file.
struct Membership {
  AdminState admin = AdminState::kReady;
  std::optional<uint32_t> weight;

  friend bool operator==(const Membership&, const Membership&) = default;
};

// Nobody changes anything until it is taken off.
struct ChangeLock {
  uint32_t uid = 0;
  std::string user;
  std::string reason;
  int64_t at_ms = 0;  // since 1970, UTC

  friend bool operator==(const ChangeLock&, const ChangeLock&) = default;
};

struct ServiceState {
  uint16_t id = kNoId;
  std::string name;
  Socket vip;
  bool affinity_client = false;
  bool retired = false;
  Colour active = Colour::kBlue;
  std::optional<Colour> previous;  // what rollback returns to; nothing: never flipped
  uint64_t flip_generation = 0;    // 0: never flipped
  int64_t flipped_at_ms = 0;       // since 1970, UTC
  // Of the drain under way, set at run time; a flip forgets them.
  std::optional<std::chrono::milliseconds> drain_timeout;
  std::optional<DrainConfig::Then> drain_then;

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
  uint64_t published_generation = 0;  // the highest that is known to have been published
  std::optional<ChangeLock> lock;

  ServiceState* service(uint16_t id);
  const ServiceState* service(uint16_t id) const { return const_cast<Inventory*>(this)->service(id); }
  const ServiceState* service(const std::string& name) const;  // one that is not retired
  bool has_retired() const;
};

struct Renumbered {
  Inventory inventory;
  std::vector<std::string> notes;  // for the log: what was retired, renamed, moved
};

// `stored` brought in line with `config`. The error: more ids are held (by retired ones) than there are.
tl::expected<Renumbered, std::string> renumber(const Inventory& stored, const Config& config);

// For a database that was lost while a segment with flows lived on: the ids that the published ruleset goes
// by.
Inventory inventory_of(const Ruleset& ruleset, const TrafficSplits& splits);

// Where the segment knows of a later flip than the inventory (teald was killed before it recorded the result,
// or the disk failed), the segment is right. Returns the ids of the services that changed. `now_tick` and
// `now_ms` are the same moment.
std::vector<uint16_t> learn_splits(Inventory& inventory, uint64_t published_generation,
                                   const TrafficSplits& splits, uint32_t now_tick, int64_t now_ms);

// 0 where the admin state keeps new flows away.
uint32_t weight_in_force(const BackendConfig& file, const Membership& member);

// What holds for the drain under way: the config, or what was set since the flip.
DrainConfig effective_drain(const ServiceConfig& file, const ServiceState& state);

RulesetInput ruleset_input(const Inventory& inventory, const Config& config);

// A service's target. `present` (or null) is what the segment says of it now: where it knows of the same
// flip, its time of the flip is kept, as it is the exact one, and so is a reset under way whose deadline is
// over still. `now_tick` and `now_ms` are the same moment.
TrafficSplit make_split(const ServiceState& service, const DrainConfig& drain, const TrafficSplit* present,
                        uint32_t now_tick, int64_t now_ms);

// The targets of all services. `present` (or null) is what the segment says now.
TrafficSplits make_splits(const Inventory& inventory, const Config& config, const TrafficSplits* present,
                          uint32_t now_tick, int64_t now_ms);

uint32_t drain_ticks(std::chrono::milliseconds timeout);  // at least 1, as 0 says "never flipped"

// Do the two forward alike? Compares what is used of them.
bool same_rules(const Ruleset& a, const Ruleset& b);
bool same_splits(const Inventory& inventory, const TrafficSplits& a, const TrafficSplits& b);

}  // namespace teal
