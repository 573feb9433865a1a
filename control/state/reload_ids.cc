// SPDX-License-Identifier: Apache-2.0
#include "control/state/reload_ids.h"

#include <algorithm>
#include <unordered_set>

namespace teal {

namespace {

using UsedSockets = std::unordered_set<Socket, SocketHash>;

// Adds the records of `planned` whose ids `records` does not have. `socket_of` is a record's own socket.
template <typename Record, typename SocketOf>
void reserve(const std::vector<Record>& planned, SocketOf socket_of, std::vector<Record>& records) {
  UsedSockets used;
  for (Record& record : records) {
    used.insert(socket_of(record));
    if constexpr (requires { record.preview; })
      if (record.preview) used.insert(*record.preview);
  }
  const size_t present = records.size();
  for (Record record : planned) {
    const auto has_id = [&](const Record& known) { return known.id == record.id; };
    if (std::any_of(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(present), has_id))
      continue;
    record.retired = true;
    if constexpr (requires { record.preview; }) record.preview.reset();
    Socket& socket = socket_of(record);
    if (!used.insert(socket).second) socket = standin_socket(record.id, socket);
    records.push_back(std::move(record));
  }
}

}  // namespace

Inventory with_reserved_ids(const Inventory& present, const Inventory& planned) {
  Inventory inventory = present;
  reserve(
      planned.services, [](ServiceState& service) -> Socket& { return service.vip; }, inventory.services);
  reserve(
      planned.backends, [](BackendState& backend) -> Socket& { return backend.socket; }, inventory.backends);
  return inventory;
}

// The ruleset has every record of the reload. Records that it lacks were released since.
void take_ids_from(const Ruleset& ruleset, Inventory& inventory) {
  std::erase_if(inventory.backends, [&](const BackendState& backend) {
    return (ruleset.backends[backend.id].flags & kBackendPresent) == 0;
  });
  std::erase_if(inventory.services, [&](const ServiceState& service) {
    return (ruleset.services[service.id].flags & kServicePresent) == 0;
  });
  for (ServiceState& service : inventory.services) {
    const ServiceRule& rule = ruleset.services[service.id];
    service.vip = rule.vip;
    service.preview.reset();
    if (rule.preview.protocol != 0) service.preview = rule.preview;
    service.affinity_client = (rule.flags & kAffinityClient) != 0;
    service.retired = (rule.flags & kServiceRetired) != 0;
  }
  for (BackendState& backend : inventory.backends) {
    const BackendRule& rule = ruleset.backends[backend.id];
    backend.service = rule.service;
    backend.socket = rule.socket;
    backend.retired = (rule.flags & kBackendRetired) != 0;
    if (backend.retired) backend.members = {};
  }
}

}  // namespace teal
