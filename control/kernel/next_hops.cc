// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/next_hops.h"

#include <array>
#include <unordered_map>

#include "control/kernel/backend_words.h"
#include "dataplane/config/options.h"

#include <spdlog/spdlog.h>

namespace teal {

namespace {

constexpr uint32_t kLookupsPerSlice =
    16;  // a lookup is several round trips to the kernel: tens of microseconds

}  // namespace

std::optional<uint16_t> port_of(const SegmentHeader& header, uint32_t ifindex) {
  for (uint16_t id = 0; id < kMaxPorts; ++id) {
    const PortRow& port = header.ports[id];
    if (port.present != 0 && port.ifindex != 0 && port.ifindex == ifindex) return id;
  }
  return std::nullopt;
}

uint64_t hop_word(const SegmentHeader& header, const std::optional<Route>& route) {
  if (!route || !route->mac) return Hop::kNone;
  const std::optional<uint16_t> port = port_of(header, route->ifindex);
  return port ? Hop{*port, *route->mac}.word() : Hop::kNone;
}

HopState hop_state(const SegmentHeader& header, const std::optional<Route>& route, Clock::Time now) {
  HopState state{.since = now};
  // Before the ports: the pid is stored after them.
  state.dataplane_pid = header.dataplane_pid.load(std::memory_order_acquire);
  if (!route) {
    state.problem = HopProblem::kNoRoute;
    return state;
  }
  state.ifindex = route->ifindex;
  state.neighbour = route->gateway_or_self;
  if (!port_of(header, route->ifindex))
    state.problem = HopProblem::kNoPort;
  else if (!route->mac)
    state.problem = HopProblem::kNoAnswer;
  return state;
}

// The stores are relaxed: a hop is one word and says nothing about other words. A worker that still loads the
// old hop sends where the kernel sent until now.
Task<void> NextHops::pass(std::vector<BackendState> backends) {
  const std::shared_ptr<Segment> segment = publisher_.segment();
  if (segment == nullptr) co_return;
  SegmentHeader& header = segment->header();
  set_client_defaults(header);

  std::array<const BackendState*, kMaxBackends> by_id{};
  for (const BackendState& backend : backends) by_id[backend.id] = &backend;
  std::unordered_map<IpAddress, std::optional<Route>, AddressHash> known;
  for (uint32_t id = 0; id < kMaxBackends; ++id) {
    uint64_t hop = Hop::kNone;
    uint8_t on_link_bits = 0;
    if (by_id[id] == nullptr) {
      states_.forget(static_cast<uint16_t>(id));
    } else {
      const IpAddress& address = by_id[id]->socket.address;
      auto route = known.find(address);
      if (route == known.end()) {
        route = known.emplace(address, routes_.lookup(address)).first;
        if (known.size() % kLookupsPerSlice == 0) {
          co_await yield_to_loop();
          if (publisher_.segment() != segment) co_return;
        }
      }
      hop = hop_word(header, route->second);
      if (route->second) on_link_bits = route->second->on_link_prefix_bits;
      set_state(*by_id[id], hop_state(header, route->second, clock_.now()));
    }
    BackendWords words(header);
    const auto backend = static_cast<uint16_t>(id);
    if (words.hop(backend) == hop &&
        header.on_link_prefix_bits[id].load(std::memory_order_relaxed) == on_link_bits)
      continue;
    header.on_link_prefix_bits[id].store(on_link_bits, std::memory_order_relaxed);
    words.set_hop(backend, hop);
    if (by_id[id] != nullptr)
      spdlog::debug("next hop of backend {} is {}", to_string(by_id[id]->socket),
                    hop == Hop::kNone ? "unresolved" : "resolved");
  }
  tell();
}

void NextHops::set_state(const BackendState& backend, const HopState& state) {
  const std::optional<HopState> before = states_.of(backend.id);
  states_.set(backend.id, state);
  const bool is_resolved = state.problem == HopProblem::kNone;
  if (before && (before->problem == HopProblem::kNone) != is_resolved)
    told_[is_resolved ? 1 : 0].push_back(to_string(backend.socket));
}

void NextHops::tell() {
  for (const bool resolved : {false, true})
    if (auto addresses = std::exchange(told_[resolved ? 1 : 0], {}); !addresses.empty())
      changed_(addresses, resolved);
}

void NextHops::set_client_defaults(SegmentHeader& header) {
  std::vector<uint32_t> client_side;
  for (const PortRow& port : header.ports)
    if (port.present != 0 && port.ifindex != 0 && (port.side & kClientSide) != 0)
      client_side.push_back(port.ifindex);
  for (const bool v4 : {true, false}) {
    const std::optional<Route> route =
        client_side.empty() ? std::nullopt : routes_.default_route(v4, client_side);
    header.client_default_hops[v4 ? 0 : 1].store(hop_word(header, route), std::memory_order_relaxed);
  }
}

}  // namespace teal
