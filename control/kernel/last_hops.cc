// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/last_hops.h"

#include <unordered_map>
#include <utility>

#include <spdlog/spdlog.h>

namespace teal {

// The neighbours by what they are looked up by.
class LastHopRouters::Table {
 public:
  explicit Table(std::span<const ResolvedNeighbour> neighbours) {
    for (const ResolvedNeighbour& one : neighbours) {
      macs_.emplace(one.key, one.mac);
      keys_.emplace(with_mac(one.key.ifindex, one.mac), one.key);
    }
  }
  std::optional<MacAddress> mac_of(const NeighbourKey& key) const {
    const auto found = macs_.find(key);
    return found == macs_.end() ? std::nullopt : std::optional(found->second);
  }
  auto keys_of(uint32_t ifindex, const MacAddress& mac) const {
    return keys_.equal_range(with_mac(ifindex, mac));
  }

 private:
  static uint64_t with_mac(uint32_t ifindex, const MacAddress& mac) {
    return mac.word() | uint64_t{ifindex} << 48;
  }

  std::unordered_map<NeighbourKey, MacAddress, NeighbourKeyHash> macs_;
  std::unordered_multimap<uint64_t, NeighbourKey> keys_;
};

bool LastHopRouters::ask_for_gateways(const Kernel& kernel, uint64_t routes_version, uint32_t most) {
  bool changed = note_rows();
  for (uint32_t seen = 0; seen < kMaxLastHops && most > 0; ++seen) {
    Row& row = rows_[next_];
    next_ = static_cast<uint16_t>((next_ + 1) % kMaxLastHops);
    if (row.client == IpAddress{} || row.asked_version == routes_version) continue;
    --most;
    row.asked_version = routes_version;
    changed |= set_gateway(row, kernel.gateway_to(row.client), &kernel);
  }
  return changed;
}

// Returns true if a row is new. A worker stores the word of a row before the client, so the row may be new
// twice.
bool LastHopRouters::note_rows() {
  bool has_new = false;
  for (uint16_t id = 0; id < kMaxLastHops; ++id) {
    Row& row = rows_[id];
    const uint64_t word = flows_.last_hops[id].load(std::memory_order_relaxed);
    if (word == Hop::kNone) {
      if (row.word == Hop::kNone) continue;
      set_gateway(row, std::nullopt, nullptr);
      row = {};
      continue;
    }
    const IpAddress client = client_of(id).value_or(IpAddress{});
    if (row.word == word && row.client == client) continue;
    row.word = word;
    row.client = client;
    row.asked_version = 0;
    has_new = true;
  }
  return has_new;
}

// Returns true if the set of gateways has changed. `kernel` is for a gateway that is new.
bool LastHopRouters::set_gateway(Row& row, const std::optional<NeighbourKey>& gateway, const Kernel* kernel) {
  if (row.gateway != nullptr && gateway == row.gateway->first) return false;
  bool changed = false;
  if (Gateways::value_type* const before = std::exchange(row.gateway, nullptr);
      before != nullptr && --before->second == 0) {
    gateways_.erase(gateways_.find(before->first));
    changed = true;
  }
  if (!gateway) return changed;
  auto found = gateways_.find(*gateway);
  if (found == gateways_.end()) {
    if (gateways_.size() == kMostGateways) return changed;
    found = gateways_.emplace(*gateway, 0).first;
    kernel->keep_resolved(*gateway);
    changed = true;
  }
  ++found->second;
  row.gateway = &*found;
  return changed;
}

void LastHopRouters::look(std::span<const ResolvedNeighbour> neighbours) {
  const Table table(neighbours);
  for (uint16_t id = 0; id < kMaxLastHops; ++id) {
    const uint64_t word = flows_.last_hops[id].load(std::memory_order_relaxed);
    if (word != Hop::kNone) look_at(id, word, table);
  }
}

// All stores are relaxed: a hop is one word and says nothing about other words.
void LastHopRouters::look_at(uint16_t id, uint64_t word, const Table& table) {
  Hop hop = Hop::from_word(word);
  LastHopOrigin& origin = flows_.last_hop_origins[id];
  if (hop.port >= kMaxPorts) return;  // a damaged segment
  const PortRow& port = header_.ports[hop.port];
  if (port.present == 0 || port.ifindex == 0) return origin.known.store(0, std::memory_order_relaxed);
  const IpAddress client = client_of(id).value_or(IpAddress{});
  NeighbourKey router{port.ifindex, origin.router};
  bool has_router = origin.hop == word;
  const auto mac = has_router && rank(router, client) > 0 ? table.mac_of(router) : std::nullopt;
  if (mac && *mac != hop.mac) {
    hop.mac = *mac;
    // Not if a starting dataplane has freed the row meanwhile.
    if (!flows_.last_hops[id].compare_exchange_strong(word, hop.word(), std::memory_order_relaxed)) return;
    origin.hop = hop.word();
    spdlog::info("{} on port {} has another MAC address: its flows follow it", router.address.to_string(),
                 port.name);
  }
  const auto [begin, end] = table.keys_of(port.ifindex, hop.mac);
  for (auto at = begin; at != end; ++at)
    if (!has_router || rank(at->second, client) > rank(router, client)) {
      router = at->second;
      has_router = true;
    }
  if (has_router) {
    origin.router = router.address;
    origin.hop = hop.word();
  }
  origin.known.store(begin != end ? 1 : 0, std::memory_order_relaxed);
}

int LastHopRouters::rank(const NeighbourKey& neighbour, const IpAddress& client) const {
  if (gateways_.contains(neighbour)) return 2;
  return neighbour.address == client ? 1 : 0;
}

std::optional<IpAddress> LastHopRouters::client_of(uint16_t id) const {
  const auto& halves = flows_.last_hop_origins[id].client;
  const uint64_t second = halves[1].load(std::memory_order_acquire);
  if (second == 0) return std::nullopt;
  return IpAddress::from_words(halves[0].load(std::memory_order_relaxed), second);
}

void LastHopFollower::follow() {
  if (segment_ != publisher_.segment()) {
    segment_ = publisher_.segment();
    routers_.reset();
    ifindexes_.clear();
    look_is_due_ = false;
    if (segment_ != nullptr) routers_.emplace(segment_->header(), segment_->flows());
  }
  if (!routers_) return;
  std::vector<uint32_t> ifindexes;
  for (const PortRow& port : segment_->header().ports)
    if (port.present != 0 && port.ifindex != 0) ifindexes.push_back(port.ifindex);
  look_is_due_ |= routers_->ask_for_gateways(
      {.gateway_to = [this](const IpAddress& client) { return routes_.gateway_to(client); },
       .keep_resolved = [this](const NeighbourKey& gateway) { routes_.keep_resolved(gateway); }},
      routes_.routes_version(), kRowsAtOnce);
  look_is_due_ |= ifindexes != ifindexes_ || routes_.neighbours_changed();
  if (!look_is_due_) return;
  const auto began = std::chrono::steady_clock::now();
  if (began < next_look_) return;
  look_is_due_ = false;
  ifindexes_ = std::move(ifindexes);
  routers_->look(routes_.neighbours(ifindexes_));
  const auto ended = std::chrono::steady_clock::now();
  next_look_ = ended + kRest * (ended - began);
}

}  // namespace teal
