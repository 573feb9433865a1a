// SPDX-License-Identifier: Apache-2.0
//
// A backend or a service that left the config is retired: it keeps its id, and the workers keep classifying
// its packets, until no flow holds it. Then its id is released in three steps, so that a start of teald at
// any moment finds the ids that flows may still hold:
//   1. two looks in a row find no flow (one look may come just before a flow begins)
//   2. a ruleset without it is published
//   3. after a grace period, the database forgets it (Change::releases_ids)
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/change/change.h"
#include "control/state/inventory.h"

namespace teal {

// The backends that a change retires, by address.
struct GoneBackends {
  std::vector<std::string> retired;
  std::vector<std::string> moved;  // to another service: "198.18.2.12:8080 to web"
};
GoneBackends gone_backends(const Inventory& before, const Inventory& after);

class RetiredBackends {
 public:
  struct Release {
    Change change;
    std::vector<std::string> addresses;  // of the backends whose ids are released
  };

  // Looks at the retired backends. Returns the change that releases those that had no flow at this look and
  // at the look before, with the retired services that have no backend left; nothing: there are none.
  std::optional<Release> look(const Inventory& inventory,
                              const std::function<bool(uint16_t backend)>& holds_flows);

 private:
  std::vector<uint16_t> idle_;  // ids of the retired backends that had no flow at the latest look
};

}  // namespace teal
