// SPDX-License-Identifier: Apache-2.0
//
// Reads how drains behave: the table [drain] with the defaults, and the `drain` of a service.
#pragma once

#include <chrono>
#include <cstdint>

#include "control/config/config.h"
#include "dataplane/config/config_reader.h"

namespace teal {

// The bounds of all durations in the file. Differences of coarse time are ambiguous from 2^31 ticks on;
// kMaxTimeout is far below that.
inline constexpr std::chrono::milliseconds kMinTimeout{100};
inline constexpr std::chrono::milliseconds kMaxTimeout = std::chrono::hours(168);

struct DrainDefaults {
  DrainConfig drain;
  uint32_t reset_rate = 10'000;  // flows per second
};
DrainDefaults read_drain_defaults(const ConfigNode& root);

// Overwrites the fields of `drain` that the table of a service sets.
void read_service_drain(const ConfigNode& table, DrainConfig& drain);

}  // namespace teal
