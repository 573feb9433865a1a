// SPDX-License-Identifier: Apache-2.0
//
// The first work of a start: bring the database, the segment that lived on, and the config file in line.
#pragma once

#include <string>

#include <tl/expected.hpp>

#include "control/config/config.h"
#include "control/loop/clock.h"
#include "control/publish/publisher.h"
#include "control/state/inventory.h"
#include "control/state/state.h"

namespace teal {

// Returns the inventory in line with the segment and with `config`, and saved. Intents that were open are
// done if the segment has their generation, else interrupted. `publisher` must have looked for the segment
// already.
tl::expected<Inventory, std::string> recover(State& state, const Publisher& publisher, const Config& config,
                                             const Clock& clock);

// Returns "" if the Maglev tables of all pools fit into a ruleset, else the error.
std::string too_large(const Config& config);

}  // namespace teal
