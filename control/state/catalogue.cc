// SPDX-License-Identifier: Apache-2.0
#include "control/state/catalogue.h"

#include <algorithm>

namespace teal {

namespace {
constexpr size_t kNowhere = ~size_t{0};
}

bool takes_flows(const std::vector<PoolMember>& pool) {
  return std::any_of(pool.begin(), pool.end(), [](const PoolMember& member) { return member.weight > 0; });
}

Catalogue::Catalogue(Config config, Inventory inventory)
    : config_(std::move(config)), inventory_(std::move(inventory)) {
  index();
}

void Catalogue::index() {
  services_.clear();
  index_by_name_.clear();
  index_of_service_.assign(kMaxServices, kNowhere);
  index_of_backend_.assign(kMaxBackends, kNowhere);
  std::unordered_map<std::string, uint16_t> id_by_name;
  for (size_t i = 0; i < inventory_.services.size(); ++i) {
    index_of_service_[inventory_.services[i].id] = i;
    if (!inventory_.services[i].retired)
      id_by_name.emplace(inventory_.services[i].name, inventory_.services[i].id);
  }
  std::unordered_map<uint16_t, std::vector<const BackendState*>> backends_by_service;
  for (size_t i = 0; i < inventory_.backends.size(); ++i) {
    index_of_backend_[inventory_.backends[i].id] = i;
    backends_by_service[inventory_.backends[i].service].push_back(&inventory_.backends[i]);
  }
  for (const ServiceConfig& wanted : config_.services) {
    CatalogueService service{.config = &wanted, .id = id_by_name.at(wanted.name)};
    const std::vector<const BackendState*>& members = backends_by_service[service.id];
    std::unordered_map<std::string, const BackendState*> by_socket;
    for (const BackendState* backend : members) {
      if (backend->retired) {
        service.retired.push_back({.id = backend->id, .socket = backend->socket, .retired = true});
      } else {
        by_socket.emplace(to_string(backend->socket), backend);
      }
    }
    for (size_t colour = 0; colour < kColours; ++colour) {
      for (const BackendConfig& backend : wanted.pools[colour]) {
        const BackendState& state = *by_socket.at(to_string(backend.socket));
        const Membership& member = state.members[colour];
        service.pools[colour].push_back({.id = state.id,
                                         .socket = backend.socket,
                                         .weight = weight_in_force(backend, member),
                                         .file_weight = backend.weight,
                                         .set_weight = member.weight,
                                         .admin = member.admin});
      }
    }
    index_by_name_.emplace(wanted.name, services_.size());
    services_.push_back(std::move(service));
  }
}

const CatalogueService* Catalogue::find(const std::string& name) const {
  const auto found = index_by_name_.find(name);
  return found == index_by_name_.end() ? nullptr : &services_[found->second];
}

const ServiceState* Catalogue::service(uint16_t id) const {
  if (id >= kMaxServices || index_of_service_[id] == kNowhere) return nullptr;
  return &inventory_.services[index_of_service_[id]];
}

const BackendState* Catalogue::backend(uint16_t id) const {
  if (id >= kMaxBackends || index_of_backend_[id] == kNowhere) return nullptr;
  return &inventory_.backends[index_of_backend_[id]];
}

std::vector<std::string> Catalogue::names() const {
  std::vector<std::string> names;
  for (const CatalogueService& service : services_) names.push_back(service.config->name);
  return names;
}

void Catalogue::set_states(const std::vector<ServiceState>& states) {
  for (const ServiceState& state : states) inventory_.services[index_of_service_[state.id]] = state;
}

void Catalogue::set_generations(uint64_t given, uint64_t published) {
  inventory_.given_generation = std::max(inventory_.given_generation, given);
  inventory_.published_generation = std::max(inventory_.published_generation, published);
}

void Catalogue::set_revision(uint64_t revision) {
  inventory_.revision = std::max(inventory_.revision, revision);
}

void Catalogue::set_backends(const std::vector<BackendState>& backends) {
  for (const BackendState& backend : backends) inventory_.backends[index_of_backend_[backend.id]] = backend;
  index();
}

void Catalogue::replace(Inventory inventory) {
  inventory_ = std::move(inventory);
  index();
}

void Catalogue::replace(Config config, Inventory inventory) {
  config_ = std::move(config);
  replace(std::move(inventory));
}

}  // namespace teal
