// SPDX-License-Identifier: Apache-2.0
#include "control/change/retired.h"

#include <algorithm>

namespace teal {

namespace {

bool contains(const std::vector<uint16_t>& ids, uint16_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

GoneBackends gone_backends(const Inventory& before, const Inventory& after) {
  GoneBackends gone;
  const BackendsBySocket present = backends_by_socket(after);
  for (const BackendState& backend : before.backends) {
    if (backend.retired) continue;
    const auto now = present.find(backend.socket);
    const std::string address = to_string(backend.socket);
    if (now == present.end())
      gone.retired.push_back(address);
    else if (now->second->service != backend.service)
      gone.moved.push_back(address + " to " + after.service(now->second->service)->name);
  }
  return gone;
}

std::optional<RetiredBackends::Release> RetiredBackends::look(
    const Inventory& inventory, const std::function<bool(uint16_t backend)>& holds_flows) {
  std::vector<uint16_t> idle_before = std::move(idle_);
  idle_.clear();
  for (const BackendState& backend : inventory.backends)
    if (backend.retired && !holds_flows(backend.id)) idle_.push_back(backend.id);
  const auto is_free = [&](const BackendState& backend) {
    return backend.retired && contains(idle_, backend.id) && contains(idle_before, backend.id);
  };

  Release release{.change = {.verb = "publish"}, .addresses = {}};
  Inventory rest = inventory;
  for (const BackendState& backend : rest.backends)
    if (is_free(backend)) release.addresses.push_back(to_string(backend.socket));
  std::erase_if(rest.backends, is_free);
  const size_t released_services = std::erase_if(rest.services, [&](const ServiceState& service) {
    const auto is_its_own = [&](const BackendState& backend) { return backend.service == service.id; };
    return service.retired && std::none_of(rest.backends.begin(), rest.backends.end(), is_its_own);
  });
  if (release.addresses.empty() && released_services == 0) return std::nullopt;
  release.change.inventory = std::make_shared<const Inventory>(std::move(rest));
  release.change.releases_ids = true;
  release.change.despite_disk = release.change.despite_lock = true;
  return release;
}

}  // namespace teal
