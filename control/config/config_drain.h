// SPDX-License-Identifier: Apache-2.0
//
// What becomes of the flows of the colour that a flip left: the table [drain], and a service's `drain`.
#pragma once

#include <chrono>
#include <cstdint>

#include "control/config/config.h"
#include "dataplane/config/config_reader.h"

namespace teal {

// Of all durations in the file. The upper one is far below 2^31 ticks, from where on differences of coarse
// time would be ambiguous.
inline constexpr std::chrono::milliseconds kLeastTimeout{100};
inline constexpr std::chrono::milliseconds kMaxTimeout = std::chrono::hours(168);

struct DrainDefaults {
  DrainConfig drain;
  uint32_t reset_rate = 10'000;  // flows a second
};
DrainDefaults read_drain_defaults(const ConfigNode& root);

// `drain` changed as the table of a service says.
void read_service_drain(const ConfigNode& table, DrainConfig& drain);

}  // namespace teal
