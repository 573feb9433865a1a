// SPDX-License-Identifier: Apache-2.0
//
// The ends of drains, as answers and dry runs say them: the deadline, and the number of flows that are reset
// then.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/change/rollout.h"
#include "control/loop/clock.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"

namespace teal {

struct Deadline {
  double seconds_left = 0;  // 0: it is over
  int64_t at_ms = 0;        // since 1970, UTC
};

// The time since the flip that the split has.
std::chrono::milliseconds age_of_flip(const TrafficSplit& split, uint64_t now_tick);

// The deadline of a drain with this timeout.
Deadline deadline_of(const TrafficSplit& split, std::chrono::milliseconds timeout, const Clock& clock);

// {"service","colour","flows","deadline","seconds_left","then","resets"}: DrainEnd in docs/openapi.yaml.
nlohmann::ordered_json drain_end_json(const std::string& service, Colour colour, uint64_t flows,
                                      const Deadline& deadline, DrainConfig::Then then);

// Returns the ends of the drains that these changes begin if they are published now. A service without flows
// on the colour that it leaves has none.
nlohmann::ordered_json drains_begun(std::span<const ColourChange> changes, const Catalogue& catalogue,
                                    const Publisher& publisher, const Clock& clock);

// Returns the ends of the drains in force of these services.
nlohmann::ordered_json drains_in_force(const std::vector<std::string>& services, const Catalogue& catalogue,
                                       const Publisher& publisher, const Clock& clock);

// Returns the ends of the drains that a reload touches: the file gives them another timeout or end, or a
// backend with flows of the draining colour leaves the file.
nlohmann::ordered_json drains_after_reload(const Change& reload, const Catalogue& before,
                                           const Publisher& publisher, const Clock& clock);

}  // namespace teal
