// SPDX-License-Identifier: Apache-2.0
//
// The bytes that a change puts into the segment: new traffic splits of its services, or a whole ruleset with
// the traffic splits of all services. Pure functions of the change and of the state before it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "control/change/change.h"
#include "control/loop/clock.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"

namespace teal {

// Return the inventory and the config as they are after the change.
Inventory inventory_after(const Change& change, const Catalogue& catalogue);
const Config& config_after(const Change& change, const Catalogue& catalogue);

tl::expected<std::shared_ptr<const Ruleset>, std::string> ruleset_after(const Change& change,
                                                                        const Catalogue& catalogue);
// `present` (or null): the splits in the segment. They know the exact times of the flips before this change.
std::shared_ptr<const TrafficSplits> splits_after(const Change& change, const Catalogue& catalogue,
                                                  const TrafficSplits* present, const Clock& clock);
// For a change that leaves the ruleset as it is.
std::vector<SplitUpdate> split_updates(const Change& change, const Catalogue& catalogue,
                                       const TrafficSplits* present, const Clock& clock);

}  // namespace teal
