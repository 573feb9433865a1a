// SPDX-License-Identifier: Apache-2.0
#include "control/change/start_config.h"

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "control/change/change_lock.h"
#include "control/change/reach.h"
#include "control/change/recovery.h"
#include "control/change/reload.h"
#include "control/change/rollout.h"
#include "dataplane/packet/flow_key.h"

namespace teal {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kBetweenLooks = 100ms;

// A pool that gets new flows and that the file changes.
struct ChangedPool {
  std::string name;  // "web/blue"
  const std::vector<PoolMember>* before;
  const std::vector<PoolMember>* after;
};

bool takes_the_same_flows(const std::vector<PoolMember>& a, const std::vector<PoolMember>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const PoolMember& x, const PoolMember& y) {
    return x.socket == y.socket && (x.weight == 0) == (y.weight == 0);
  });
}

std::vector<ChangedPool> changed_pools(const Catalogue& before, const Catalogue& after) {
  std::vector<ChangedPool> pools;
  for (const CatalogueService& service : after.services()) {
    const CatalogueService* const present = before.find(service.config->name);
    if (present == nullptr) continue;
    const ServiceState& state = after.state(service);
    for (size_t colour = 0; colour < kColours; ++colour) {
      const bool is_active = state.active == static_cast<Colour>(colour);
      if ((!is_active && !state.ramp) || takes_the_same_flows(present->pools[colour], service.pools[colour]))
        continue;
      pools.push_back({fmt::format("{}/{}", service.config->name, kColourNames[colour]),
                       &present->pools[colour], &service.pools[colour]});
    }
  }
  return pools;
}

// Keeps what the kernel says about each address. A problem that the first look finds counts from `begin`.
class StartHops {
 public:
  StartHops(const StartLook& look, Clock::Time begin) : look_(look), begin_(begin) {}

  void look_at(const std::vector<PoolMember>& pool) {
    for (const PoolMember& member : pool) {
      HopState state = look_.hop_of(member.socket.address);
      std::optional<HopState>& known = states_[member.socket.address];
      if (!known || known->problem == state.problem) state.since = known ? known->since : begin_;
      known = state;
    }
  }
  const std::optional<HopState>& of(const PoolMember& member) { return states_[member.socket.address]; }

  // Returns whether the pool's verdict is certain: a backend has a next hop, or no neighbour may answer yet.
  bool is_certain(const std::vector<PoolMember>& pool) {
    bool has_silent = false;
    for (const PoolMember& member : pool) {
      if (member.weight == 0) continue;
      if (of(member)->problem == HopProblem::kNone) return true;
      has_silent = has_silent || of(member)->problem == HopProblem::kNoAnswer;
    }
    return !has_silent;
  }

 private:
  const StartLook& look_;
  const Clock::Time begin_;
  std::unordered_map<IpAddress, std::optional<HopState>, AddressHash> states_;
};

}  // namespace

std::optional<Refusal> loses_reach_at_start(const Catalogue& before, const Catalogue& after,
                                            const StartLook& look) {
  const std::vector<ChangedPool> pools = changed_pools(before, after);
  if (pools.empty()) return std::nullopt;
  const Clock::Time begin = look.clock.now();
  StartHops hops(look, begin);
  for (;;) {
    bool are_certain = true;
    for (const ChangedPool& pool : pools) {
      hops.look_at(*pool.before);
      hops.look_at(*pool.after);
      are_certain = are_certain && hops.is_certain(*pool.after);
    }
    if (are_certain || look.clock.now() - begin >= kLongestSilence) break;
    look.pause(kBetweenLooks);
  }
  const auto known = backends_by_socket(before.inventory());
  const auto states = std::make_unique<HopStates>();
  std::vector<BackendWithoutHop> fresh;
  for (const ChangedPool& pool : pools) {
    for (const PoolMember& member : *pool.before) states->set(member.id, *hops.of(member));
    for (const PoolMember& member : *pool.after) {
      const std::optional<HopState>& state = hops.of(member);
      if (const auto backend = known.find(member.socket); backend != known.end())
        states->set(backend->second->id, *state);
      else if (is_unreachable(state, look.clock.now(), look.dataplane_pid))
        fresh.push_back(
            {fmt::format("{}/{}", pool.name, to_string(member.socket)), member.socket, problem_text(state)});
    }
  }
  return loses_reach(before, after, fresh, *states, look.clock.now(), look.dataplane_pid);
}

tl::expected<StartConfig, ConfigErrors> choose_config(
    tl::expected<ConfigFile, ConfigErrors> file, const std::string& path,
    const std::optional<std::string>& good_text, const Inventory& inventory, const Publisher& publisher,
    const std::function<ConfigErrors(const Config&)>& check_api, const ReachGate& lost_reach) {
  const auto take_file = [&]() -> tl::expected<StartConfig, ConfigErrors> {
    if (!file) return tl::unexpected(file.error());
    return StartConfig{std::move(file->config), {}, ""};
  };
  if (!good_text || (file && file->config.text == *good_text)) return take_file();
  tl::expected<Config, ConfigErrors> good = parse_config(*good_text, path);
  if (!good || !too_large(*good).empty()) return take_file();
  if (!file) return StartConfig{std::move(*good), std::move(file.error()), ""};
  if (ConfigErrors errors = check_api(file->config); !errors.empty())
    return StartConfig{std::move(*good), std::move(errors), ""};

  const tl::expected<Renumbered, std::string> held = renumber(inventory, *good);
  if (!held) return take_file();
  const Catalogue before(*good, held->inventory);
  const tl::expected<Change, Refusal> change = plan_reload(file, before, publisher);
  if (!change) return StartConfig{std::move(*good), {}, change.error().message};
  if (inventory.lock && !change->empty())
    return StartConfig{std::move(*good), {}, lock_text(*inventory.lock)};
  if (change->config != nullptr)
    if (const auto lost = lost_reach(before, Catalogue(*change->config, *change->inventory)))
      return StartConfig{std::move(*good), {}, fmt::format("{} ({})", lost->reason(), listed(lost->details))};
  return take_file();
}

}  // namespace teal
