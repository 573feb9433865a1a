// SPDX-License-Identifier: Apache-2.0
//
// What a reload would change, for people to look at before it does: pure functions of the config and
// inventory in force and those of the file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/config/config.h"
#include "control/state/catalogue.h"
#include "control/state/inventory.h"
#include "dataplane/config/options.h"
#include "dataplane/shm/segment.h"

namespace teal {

using FlowsOfBackend = std::function<uint64_t(uint16_t backend)>;  // live and closing, of both colours

// {"added":[...],"changed":[...],"retired":[...],"restart":[...]}; an entry has kind, service, colour,
// address, detail, flows, as far as they apply.
nlohmann::ordered_json reload_plan(const Config& before, const Inventory& held, const Config& after,
                                   const Inventory& renumbered, const FlowsOfBackend& flows);
bool changes_nothing(const nlohmann::ordered_json& plan);

// What of [dataplane] and [[port]] a running dataplane does otherwise: it takes a restart of it.
std::vector<std::string> wants_restart(const DataplaneOptions& file, const SegmentHeader& running);

// How what is in force differs from the file, for people: one line each, without the service's name.
std::vector<std::string> drift(const CatalogueService& service, const ServiceState& state);

}  // namespace teal
