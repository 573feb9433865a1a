// SPDX-License-Identifier: Apache-2.0
//
// Joins the config and the inventory: each configured service with its pools, by id and by name.
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/state/inventory.h"

namespace teal {

struct PoolMember {
  uint16_t id = kNoId;
  Socket socket;
  uint32_t weight = 0;                 // in force: 0 where the admin state keeps new flows away
  uint32_t file_weight = 0;            // what the config says
  std::optional<uint32_t> set_weight;  // at run time
  AdminState admin = AdminState::kReady;
  bool retired = false;
};

struct CatalogueService {
  const ServiceConfig* config = nullptr;
  uint16_t id = kNoId;
  std::array<std::vector<PoolMember>, kColours> pools;  // by Colour, in the file's order
  std::vector<PoolMember> retired;                      // backends that left the config, of either colour
};

// Returns whether a member of the pool takes new flows.
bool takes_flows(const std::vector<PoolMember>& pool);

class Catalogue {
 public:
  Catalogue(Config config, Inventory inventory);
  Catalogue(const Catalogue&) = delete;
  Catalogue& operator=(const Catalogue&) = delete;

  const Config& config() const { return config_; }
  const Inventory& inventory() const { return inventory_; }
  const std::vector<CatalogueService>& services() const { return services_; }  // in the file's order

  const CatalogueService* find(const std::string& name) const;  // null: not in the config
  const ServiceState& state(const CatalogueService& service) const {
    return inventory_.services[index_of_service_[service.id]];
  }
  const ServiceState* service(uint16_t id) const;  // retired ones too
  const BackendState* backend(uint16_t id) const;  // retired ones too
  std::vector<std::string> names() const;

  // Replaces the states of services that are in the inventory.
  void set_states(const std::vector<ServiceState>& states);
  void set_generations(uint64_t given, uint64_t published);
  void set_revision(uint64_t revision);
  void set_backends(const std::vector<BackendState>& backends);  // other admin states or weights
  void set_lock(std::optional<ChangeLock> lock) { inventory_.lock = std::move(lock); }
  void replace(Inventory inventory);
  void replace(Config config, Inventory inventory);

 private:
  void index();

  Config config_;
  Inventory inventory_;
  std::vector<CatalogueService> services_;
  std::unordered_map<std::string, size_t> index_by_name_;    // into services_
  std::vector<size_t> index_of_service_, index_of_backend_;  // by id, into the inventory
};

}  // namespace teal
