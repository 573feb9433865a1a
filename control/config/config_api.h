// SPDX-License-Identifier: Apache-2.0
//
// The table [api] of a config file: who may use teald's sockets, and the read-only HTTP listener.
#pragma once

#include "control/config/config.h"
#include "dataplane/config/config_reader.h"

namespace teal {

// Users and groups are looked up on this host.
ApiConfig read_api(const ConfigNode& root);

}  // namespace teal
