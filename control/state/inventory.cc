// SPDX-License-Identifier: Apache-2.0
#include "control/state/inventory.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

namespace teal {

namespace {

// Gives ids that are free, lowest first.
class FreeIds {
 public:
  explicit FreeIds(uint32_t limit) : used_(limit, false) {}
  void take(uint16_t id) {
    if (id < used_.size()) used_[id] = true;
  }
  std::optional<uint16_t> next() {
    while (lowest_ < used_.size() && used_[lowest_]) ++lowest_;
    if (lowest_ == used_.size()) return std::nullopt;
    used_[lowest_] = true;
    return static_cast<uint16_t>(lowest_);
  }

 private:
  std::vector<bool> used_;
  size_t lowest_ = 0;
};

// Returns for each service of the config the stored service that it is; null: a new one.
std::vector<const ServiceState*> match_services(const Inventory& stored, const Config& config) {
  std::unordered_map<std::string, const ServiceState*> by_name;
  for (const ServiceState& service : stored.services) by_name.emplace(service.name, &service);
  std::vector<const ServiceState*> matches;
  for (const ServiceConfig& service : config.services) {
    const auto found = by_name.find(service.name);
    matches.push_back(found == by_name.end() ? nullptr : found->second);
  }
  std::unordered_map<Socket, const ServiceState*, SocketHash> by_vip;
  for (const ServiceState& service : stored.services) {
    if (std::find(matches.begin(), matches.end(), &service) == matches.end())
      by_vip.emplace(service.vip, &service);
  }
  for (size_t i = 0; i < matches.size(); ++i) {
    if (matches[i] != nullptr) continue;
    if (const auto found = by_vip.find(config.services[i].vip); found != by_vip.end())
      matches[i] = found->second;
  }
  return matches;
}

std::string held_ids(const char* what, uint32_t limit) {
  return fmt::format(
      "no free id for a {} (there are {}): ids of {}s that left the config stay taken until their last flow "
      "has ended",
      what, limit, what);
}

tl::expected<void, std::string> number_services(const Inventory& stored, const Config& config,
                                                Renumbered& out) {
  const std::vector<const ServiceState*> matches = match_services(stored, config);
  FreeIds free_ids(kMaxServices);
  for (const ServiceState& service : stored.services) free_ids.take(service.id);

  std::unordered_set<Socket, SocketHash> addresses;  // VIPs and preview addresses
  for (size_t i = 0; i < matches.size(); ++i) {
    const ServiceConfig& wanted = config.services[i];
    ServiceState service = matches[i] != nullptr ? *matches[i] : ServiceState{.active = wanted.active};
    if (matches[i] == nullptr) {
      const std::optional<uint16_t> id = free_ids.next();
      if (!id) return tl::unexpected(held_ids("service", kMaxServices));
      service.id = *id;
      service.added_after = stored.published_generation;
    } else if (service.name != wanted.name) {
      out.notes.push_back(fmt::format("service \"{}\" is now called \"{}\"", service.name, wanted.name));
    } else if (service.vip != wanted.vip) {
      out.notes.push_back(fmt::format("service \"{}\" moved from {} to {}: flows to the old address break",
                                      wanted.name, to_string(service.vip), to_string(wanted.vip)));
    }
    service.name = wanted.name;
    service.vip = wanted.vip;
    service.preview = wanted.preview;
    service.affinity_client = wanted.affinity_client;
    service.retired = false;
    std::erase_if(service.preview_clients,
                  [&](const IpPrefix& client) { return client.is_v4() != wanted.vip.address.is_v4(); });
    out.inventory.services.push_back(service);
    addresses.insert(wanted.vip);
    if (wanted.preview) addresses.insert(*wanted.preview);
  }
  for (const ServiceState& service : stored.services) {
    if (std::find(matches.begin(), matches.end(), &service) != matches.end()) continue;
    ServiceState retired = service;
    if (!retired.retired) out.notes.push_back(fmt::format("service \"{}\" left the config", retired.name));
    retired.retired = true;
    retired.ramp.reset();
    retired.preview.reset();
    retired.preview_clients.clear();
    if (addresses.contains(retired.vip)) retired.vip = standin_socket(retired.id, retired.vip);
    out.inventory.services.push_back(retired);
  }
  return {};
}

// Values that were set at run time belong to the membership in a pool: a backend that leaves the pool and
// comes back has the values of the file.
void forget_left_pools(const Config& config, Inventory& inventory) {
  for (size_t colour = 0; colour < kColours; ++colour) {
    std::unordered_set<Socket, SocketHash> members;
    for (const ServiceConfig& service : config.services)
      for (const BackendConfig& backend : service.pools[colour]) members.insert(backend.socket);
    for (BackendState& backend : inventory.backends)
      if (!members.contains(backend.socket)) backend.members[colour] = {};
  }
}

tl::expected<void, std::string> number_backends(const Inventory& stored, const Config& config,
                                                Renumbered& out) {
  std::unordered_map<Socket, const BackendState*, SocketHash> by_socket;
  FreeIds free_ids(kMaxBackends);
  for (const BackendState& backend : stored.backends) {
    by_socket.emplace(backend.socket, &backend);
    free_ids.take(backend.id);
  }
  std::unordered_map<Socket, uint16_t, SocketHash> placed;  // to the service's id
  std::vector<const BackendState*> kept;
  for (size_t i = 0; i < config.services.size(); ++i) {
    const uint16_t service = out.inventory.services[i].id;  // number_services kept the config's order
    for (const auto& pool : config.services[i].pools) {
      for (const BackendConfig& wanted : pool) {
        if (!placed.emplace(wanted.socket, service).second) continue;  // in both colours: one backend
        const auto found = by_socket.find(wanted.socket);
        BackendState backend{.service = service, .socket = wanted.socket};
        if (found != by_socket.end() && found->second->service == service) {
          backend.id = found->second->id;
          if (!found->second->retired) backend.members = found->second->members;
          kept.push_back(found->second);
        } else {
          const std::optional<uint16_t> id = free_ids.next();
          if (!id) return tl::unexpected(held_ids("backend", kMaxBackends));
          backend.id = *id;
        }
        out.inventory.backends.push_back(backend);
      }
    }
  }
  forget_left_pools(config, out.inventory);
  std::sort(kept.begin(), kept.end());
  for (const BackendState& backend : stored.backends) {
    if (std::binary_search(kept.begin(), kept.end(), &backend)) continue;
    BackendState retired = backend;
    const bool moved = placed.contains(retired.socket);
    if (!retired.retired)
      out.notes.push_back(
          fmt::format("backend {} {}", to_string(retired.socket),
                      moved ? "moved to another service: its flows there break" : "left the config"));
    retired.retired = true;
    retired.members = {};
    if (moved) {
      retired.socket = standin_socket(retired.id, retired.socket);
    }
    out.inventory.backends.push_back(retired);
  }
  return {};
}

}  // namespace

// 0.0.x.y or 100::x (the discard prefix, RFC 6666) with port 9: no packet that reaches this host carries it.
Socket standin_socket(uint16_t id, const Socket& instead_of) {
  const auto high = static_cast<uint8_t>(id >> 8), low = static_cast<uint8_t>(id);
  Socket socket = instead_of;
  socket.port = Be16::from_host(9);
  if (instead_of.address.is_v4()) {
    const uint8_t bytes[4] = {0, 0, high, low};
    socket.address = IpAddress::from_v4(bytes);
  } else {
    const uint8_t bytes[16] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low};
    socket.address = IpAddress::from_v6(bytes);
  }
  return socket;
}

ServiceState* Inventory::service(uint16_t id) {
  for (ServiceState& service : services)
    if (service.id == id) return &service;
  return nullptr;
}

const ServiceState* Inventory::service(const std::string& name) const {
  for (const ServiceState& service : services)
    if (!service.retired && service.name == name) return &service;
  return nullptr;
}

BackendsBySocket backends_by_socket(const Inventory& inventory) {
  BackendsBySocket backends;
  for (const BackendState& backend : inventory.backends)
    if (!backend.retired) backends.emplace(backend.socket, &backend);
  return backends;
}

bool Inventory::has_retired() const {
  const auto retired = [](const auto& record) { return record.retired; };
  return std::any_of(services.begin(), services.end(), retired) ||
         std::any_of(backends.begin(), backends.end(), retired);
}

tl::expected<Renumbered, std::string> renumber(const Inventory& stored, const Config& config) {
  Renumbered out;
  out.inventory.given_generation = stored.given_generation;
  out.inventory.published_generation = stored.published_generation;
  out.inventory.revision = stored.revision;
  out.inventory.lock = stored.lock;
  if (auto done = number_services(stored, config, out); !done) return tl::unexpected(done.error());
  if (auto done = number_backends(stored, config, out); !done) return tl::unexpected(done.error());
  return out;
}

Inventory inventory_of(const Ruleset& ruleset, const TrafficSplits& splits) {
  Inventory inventory;
  for (uint16_t id = 0; id < kMaxServices; ++id) {
    const ServiceRule& rule = ruleset.services[id];
    if ((rule.flags & kServicePresent) == 0) continue;
    ServiceState service{.id = id, .name = fmt::format("recovered-{}", id), .vip = rule.vip};
    if (rule.preview.protocol != 0) service.preview = rule.preview;
    for (uint32_t i = 0; i < rule.preview_clients; ++i) {
      const PreviewClients& clients = ruleset.preview_clients[rule.first_preview_clients + i];
      const int bits = std::popcount(clients.mask.word(0)) + std::popcount(clients.mask.word(1));
      service.preview_clients.push_back({clients.network, static_cast<uint8_t>(bits)});
    }
    service.affinity_client = (rule.flags & kAffinityClient) != 0;
    service.retired = (rule.flags & kServiceRetired) != 0;
    service.active = splits.services[id].active;
    inventory.services.push_back(service);
  }
  for (uint16_t id = 0; id < kMaxBackends; ++id) {
    const BackendRule& rule = ruleset.backends[id];
    if ((rule.flags & kBackendPresent) == 0) continue;
    inventory.backends.push_back({id, rule.service, rule.socket, (rule.flags & kBackendRetired) != 0});
  }
  return inventory;
}

RulesetInput ruleset_input(const Inventory& inventory, const Config& config) {
  RulesetInput plan;
  plan.timeouts = config.timeouts;
  plan.reset_rate = config.reset_rate;
  std::unordered_set<std::string_view> cut, resets;
  std::unordered_map<Socket, std::array<const BackendConfig*, kColours>, SocketHash> places;
  for (const ServiceConfig& service : config.services) {
    if (service.drain.udp == DrainConfig::Udp::kCut) cut.insert(service.name);
    if (service.health.on_down == HealthRules::OnDown::kReset) resets.insert(service.name);
    for (uint32_t colour = 0; colour < kColours; ++colour)
      for (const BackendConfig& backend : service.pools[colour]) places[backend.socket][colour] = &backend;
  }
  for (const ServiceState& service : inventory.services) {
    plan.services.push_back({.id = service.id,
                             .name = service.name,
                             .vip = service.vip,
                             .preview = service.preview,
                             .preview_clients = service.preview_clients,
                             .affinity_client = service.affinity_client,
                             .udp_cut = !service.retired && cut.contains(service.name),
                             .on_down_reset = !service.retired && resets.contains(service.name),
                             .retired = service.retired});
  }
  for (const BackendState& backend : inventory.backends) {
    NumberedBackend numbered{backend.id, backend.service, backend.socket, {}, {}, backend.retired};
    for (uint32_t colour = 0; colour < kColours && !backend.retired; ++colour) {
      const BackendConfig* place = places[backend.socket][colour];
      if (place == nullptr) continue;
      numbered.weights[colour] = weight_in_force(*place, backend.members[colour]);
      numbered.reset[colour] = backend.members[colour].admin == AdminState::kMaint;
    }
    plan.backends.push_back(numbered);
  }
  return plan;
}

uint32_t weight_in_force(const BackendConfig& file, const Membership& member) {
  return member.admin == AdminState::kReady ? member.weight.value_or(file.weight) : 0;
}

DrainConfig effective_drain(const ServiceConfig& file, const ServiceState& state) {
  DrainConfig drain = file.drain;
  drain.timeout = state.drain_timeout.value_or(drain.timeout);
  drain.then = state.drain_then.value_or(drain.then);
  return drain;
}

bool same_rules(const Ruleset& a, const Ruleset& b) {
  const auto same_table = [](const MaglevTable& x, const MaglevTable& y) {
    return x.offset == y.offset && x.size == y.size;
  };
  const auto same_preview = [&](const ServiceRule& x, const ServiceRule& y) {
    const auto* of_x = a.preview_clients + x.first_preview_clients;
    return x.preview == y.preview && x.preview_clients == y.preview_clients &&
           std::equal(of_x, of_x + x.preview_clients, b.preview_clients + y.first_preview_clients);
  };
  if (std::memcmp(&a.timeouts, &b.timeouts, sizeof(Timeouts)) != 0 || a.reset_rate != b.reset_rate ||
      a.maglev_used != b.maglev_used)
    return false;
  for (uint32_t id = 0; id < kMaxServices; ++id) {
    const ServiceRule &x = a.services[id], &y = b.services[id];
    if (x.flags != y.flags) return false;
    if ((x.flags & kServicePresent) == 0) continue;
    if (x.vip != y.vip || !same_preview(x, y) || !same_table(x.pools[0], y.pools[0]) ||
        !same_table(x.pools[1], y.pools[1]))
      return false;
  }
  for (uint32_t id = 0; id < kMaxBackends; ++id) {
    const BackendRule &x = a.backends[id], &y = b.backends[id];
    if (x.flags != y.flags) return false;
    if ((x.flags & kBackendPresent) != 0 && (x.socket != y.socket || x.service != y.service)) return false;
  }
  // The lookup tables follow from these.
  return std::memcmp(a.maglev, b.maglev, std::min(a.maglev_used, kMaglevCapacity) * sizeof(a.maglev[0])) == 0;
}

}  // namespace teal
