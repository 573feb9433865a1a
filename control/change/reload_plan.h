// SPDX-License-Identifier: Apache-2.0
//
// The list of changes that a reload would make, which `teal reload --dry-run` shows. These are pure
// functions: they compare the config and inventory in force with the config in the file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/config/config.h"
#include "control/state/catalogue.h"
#include "control/state/inventory.h"

namespace teal {

using FlowsOfBackend = std::function<uint64_t(uint16_t backend)>;  // live and closing, of both colours

// Returns {"added":[...],"changed":[...],"retired":[...],"restart":[...]}. An entry has, as far as they
// apply, the fields kind, service, colour, address, detail, flows and breaks. "flows" counts flows that
// continue until they end, "breaks" counts flows whose packets no longer reach the other end. Each flow is
// counted once. "restart" is empty: pending_restart.h has its lines.
nlohmann::ordered_json reload_plan(const Config& before, const Inventory& held, const Config& after,
                                   const Inventory& renumbered, const FlowsOfBackend& flows);
bool changes_nothing(const nlohmann::ordered_json& plan);

// Returns how the state in force differs from what the file governs, one line each, without the service's
// name. The file's colour does not count, as it is for new services only. The settings of a drain count
// while the drain lasts.
std::vector<std::string> drift(const CatalogueService& service, const ServiceState& state, bool is_draining);

}  // namespace teal
