// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/known_ids.h"

namespace teal {

void note_ids(const Ruleset& ruleset, KnownIds& ids) {
  ids.timeouts = ruleset.timeouts;
  for (uint32_t id = 0; id < kMaxServices; ++id) {
    const ServiceRule& rule = ruleset.services[id];
    if ((rule.flags & kServicePresent) != 0) ids.services[id] = {.vip = rule.vip, .preview = rule.preview};
  }
  for (uint32_t id = 0; id < kMaxBackends; ++id) {
    const BackendRule& rule = ruleset.backends[id];
    KnownBackend& row = ids.backends[id];
    if ((rule.flags & kBackendPresent) == 0) {
      row.known.store(0, std::memory_order_relaxed);
      continue;
    }
    row.socket = rule.socket;
    row.service = rule.service;
    // Release: pairs with the acquire load below.
    row.known.store(1, std::memory_order_release);
  }
}

void rules_of_known_ids(const KnownIds& ids, Ruleset& ruleset) {
  ruleset.timeouts = ids.timeouts;
  const auto add_service = [&](const Socket& socket, uint16_t id) {
    ruleset.vips.insert(socket, id);
    if (!ruleset.is_service_address(socket.address)) ruleset.addresses.insert({socket.address, {}, 0}, id);
  };
  for (uint16_t id = 0; id < kMaxBackends; ++id) {
    const KnownBackend& row = ids.backends[id];
    if (row.known.load(std::memory_order_acquire) == 0 || row.service >= kMaxServices) continue;
    ServiceRule& service = ruleset.services[row.service];
    if ((service.flags & kServicePresent) == 0) {
      service.vip = ids.services[row.service].vip;
      service.preview = ids.services[row.service].preview;
      service.flags = kServicePresent;
      add_service(service.vip, row.service);
      if (service.preview.protocol != 0)
        add_service(service.preview, static_cast<uint16_t>(row.service + kPreviewAddress));
    }
    if (ruleset.find_backend(row.socket) != kNoId) continue;  // a killed teald left a row of a released id
    BackendRule& rule = ruleset.backends[id];
    rule.socket = row.socket;
    rule.from_vip = ChecksumDelta::between(service.vip, row.socket);
    rule.service = row.service;
    rule.flags = kBackendPresent;
    ruleset.sockets.insert(row.socket, id);
  }
}

}  // namespace teal
