// SPDX-License-Identifier: Apache-2.0
//
// The [[service]] tables of a config file.
#pragma once

#include <vector>

#include "control/config/config.h"
#include "control/config/config_name.h"
#include "dataplane/config/config_reader.h"

namespace teal {

// The values of the tables [drain] and [rollout], for services whose table says nothing else.
struct ServiceDefaults {
  DrainConfig drain;
  RolloutRules rules;
};

// Reads all services; a file without a service is an error. `names` receives the names of the services.
std::vector<ServiceConfig> read_services(const ConfigNode& root, const ServiceDefaults& defaults,
                                         FirstLines& names);

}  // namespace teal
