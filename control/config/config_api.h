// SPDX-License-Identifier: Apache-2.0
//
// The table [api] of a config file: the access to teald's sockets, and the read-only HTTP listener.
#pragma once

#include "control/config/config.h"
#include "dataplane/config/config_reader.h"

namespace teal {

// Looks users and groups up on this host.
ApiConfig read_api(const ConfigNode& root, ApiLines& lines);

}  // namespace teal
