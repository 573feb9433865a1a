// SPDX-License-Identifier: Apache-2.0
//
// The [[service]] tables of a config file.
#pragma once

#include <vector>

#include "control/config/config.h"
#include "control/config/config_name.h"
#include "dataplane/config/config_reader.h"

namespace teal {

// At least one, as all errors go. `drain` is what a service's own drain differs from; `names` gets the
// services' names.
std::vector<ServiceConfig> read_services(const ConfigNode& root, const DrainConfig& drain, FirstLines& names);

}  // namespace teal
