// SPDX-License-Identifier: Apache-2.0
#include "control/publish/ruleset_builder.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <span>

#include "control/publish/maglev.h"

namespace teal {

namespace {

// The members of one pool.
struct Pool {
  uint16_t service;     // id
  uint32_t colour;      // index
  uint32_t places = 0;  // members, with those that take no new flows now
  std::vector<MaglevMember> members;
};

// Returns the pools in the order of the services. Members of weight 0 and retired members are left out.
std::vector<Pool> pools_of(const RulesetInput& plan) {
  std::vector<Pool> pools;
  std::vector<uint32_t> first_pool(kMaxServices, UINT32_MAX);
  for (const NumberedService& service : plan.services) {
    assert(service.id < kMaxServices);
    if (service.retired) continue;
    first_pool[service.id] = static_cast<uint32_t>(pools.size());
    for (uint32_t colour = 0; colour < kColours; ++colour) pools.push_back({service.id, colour, 0, {}});
  }
  for (const NumberedBackend& backend : plan.backends) {
    assert(backend.id < kMaxBackends && backend.service < kMaxServices);
    if (backend.retired || first_pool[backend.service] == UINT32_MAX) continue;
    for (uint32_t colour = 0; colour < kColours; ++colour) {
      if (!backend.weights[colour]) continue;
      Pool& pool = pools[first_pool[backend.service] + colour];
      ++pool.places;
      const uint32_t weight = *backend.weights[colour];
      if (weight != 0) pool.members.push_back({backend.id, backend.socket, weight});
    }
  }
  return pools;
}

// The size depends on all places of the pool. So a backend that is drained and comes back does not change it,
// and most flows keep their backend.
uint32_t table_size(const Pool& pool) {
  return pool.members.empty() ? 0 : maglev_size(pool.places);
}

void put_services(const RulesetInput& plan, Ruleset& out) {
  std::fill(std::begin(out.services), std::end(out.services), ServiceRule{});
  out.vips = {};
  out.addresses = {};
  const auto add_address = [&](const Socket& socket, uint16_t id) {
    if (!out.is_service_address(socket.address)) out.addresses.insert({socket.address, {}, 0}, id);
  };
  uint16_t previews = 0;
  for (const NumberedService& service : plan.services) {
    ServiceRule& rule = out.services[service.id];
    assert((rule.flags & kServicePresent) == 0 && "service ids are unique");
    assert(out.find_service(service.vip) == kNoId && "VIPs are unique");
    rule.vip = service.vip;
    rule.flags =
        static_cast<uint8_t>(kServicePresent | (service.retired ? kServiceRetired : 0) |
                             (service.affinity_client ? kAffinityClient : 0) |
                             (service.udp_cut ? kUdpCut : 0) | (service.on_down_reset ? kOnDownReset : 0));
    out.vips.insert(service.vip, service.id);
    add_address(service.vip, service.id);
    if (service.preview) {
      assert(out.find_service(*service.preview) == kNoId && "preview addresses are unique");
      rule.preview = *service.preview;
      out.vips.insert(*service.preview, service.id + kPreviewAddress);
      add_address(*service.preview, service.id + kPreviewAddress);
    }
    rule.first_preview_clients = previews;
    for (const IpPrefix& clients : service.preview_clients) {
      assert(previews < kMaxPreviewClients);
      out.preview_clients[previews++] = {clients.address, clients.mask()};
    }
    rule.preview_clients = static_cast<uint16_t>(previews - rule.first_preview_clients);
  }
}

void put_backends(const RulesetInput& plan, Ruleset& out) {
  std::fill(std::begin(out.backends), std::end(out.backends), BackendRule{});
  out.sockets = {};
  for (const NumberedBackend& backend : plan.backends) {
    BackendRule& rule = out.backends[backend.id];
    const ServiceRule& service = out.services[backend.service];
    assert((rule.flags & kBackendPresent) == 0 && "backend ids are unique");
    assert((service.flags & kServicePresent) != 0 && "a backend's service is in the plan");
    assert(out.find_backend(backend.socket) == kNoId && "backend sockets are unique");
    rule.socket = backend.socket;
    rule.from_vip = ChecksumDelta::between(service.vip, backend.socket);
    rule.service = backend.service;
    rule.flags = static_cast<uint8_t>(kBackendPresent | (backend.retired ? kBackendRetired : 0) |
                                      (backend.reset[0] ? kBackendResetBlue : 0) |
                                      (backend.reset[1] ? kBackendResetGreen : 0) |
                                      (service.flags & kUdpCut ? kBackendUdpCut : 0));
    out.sockets.insert(backend.socket, backend.id);
  }
}

}  // namespace

tl::expected<void, std::string> build_ruleset(const RulesetInput& plan, Ruleset& out) {
  const std::vector<Pool> pools = pools_of(plan);
  uint64_t entries = 0;
  for (const Pool& pool : pools) entries += table_size(pool);
  if (entries > kMaglevCapacity) {
    return tl::unexpected("the Maglev tables of " + std::to_string(pools.size()) + " pools need " +
                          std::to_string(entries) + " entries, expected at most " +
                          std::to_string(kMaglevCapacity));
  }

  out.timeouts = plan.timeouts;
  out.reset_rate = plan.reset_rate;
  put_services(plan, out);
  put_backends(plan, out);
  uint32_t offset = 0;
  for (const Pool& pool : pools) {
    const uint32_t size = table_size(pool);
    out.services[pool.service].pools[pool.colour] = {offset, size};
    fill_maglev(pool.members, std::span(out.maglev + offset, size));
    for (const MaglevMember& member : pool.members)
      out.backends[member.backend].flags |= pool.colour == 0 ? kBackendTakesBlue : kBackendTakesGreen;
    offset += size;
  }
  out.maglev_used = offset;  // the entries beyond are not used
  return {};
}

}  // namespace teal
