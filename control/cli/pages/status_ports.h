// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

// Returns the name of a port's interface: "eth1", or "front (TAP)" for the TAP of a port that DPDK owns.
std::string interface_text(const nlohmann::json& port);

// Returns lines about links that are down, and about packets that are being lost.
std::vector<std::string> port_warnings(const nlohmann::json& dataplane);

// Returns the table of the dataplane's ports. The steering program has a row if it dropped packets.
std::string ports_table(const nlohmann::json& dataplane, const Surroundings& around);

}  // namespace teal::cli
