// SPDX-License-Identifier: Apache-2.0
//
// What a start makes of what the last teald left: the database, and the segment that lived on.
#pragma once

#include <string>

#include <tl/expected.hpp>

#include "control/config/config.h"
#include "control/publish/publisher.h"
#include "control/state/inventory.h"
#include "control/state/state.h"

namespace teal {

// Ids and targets in line with `config`, and saved. Open intents have got their result: done where the
// segment has them, else interrupted. `publisher` has looked for the segment.
tl::expected<Inventory, std::string> recover(State& state, const Publisher& publisher, const Config& config);

// "" if the pools' Maglev tables fit into a ruleset; else what is too large.
std::string too_large(const Config& config);

}  // namespace teal
