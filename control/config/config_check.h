// SPDX-License-Identifier: Apache-2.0
//
// Reads the table [service.check] and the keys on_down, slow_start, panic, empty and eject of a [[service]].
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/config/health_check.h"
#include "dataplane/config/config_reader.h"

namespace teal {

// Limits of a check. They also bound the message that gives the check to teal-health.
inline constexpr size_t kMaxCheckText = 1024;  // bytes of path, match, send and expect
inline constexpr size_t kMaxCheckHost = 255;   // bytes
inline constexpr uint32_t kMaxRiseFall = 100;

inline constexpr std::string_view kHealthKeys[] = {"check", "on_down", "slow_start",
                                                   "panic", "empty",   "eject"};

std::optional<HealthCheck> read_check(const ConfigNode& service);
HealthRules read_health_rules(const ConfigNode& service);
std::string eject_text(const EjectRules& rules);  // "5 failures, 30s, 50 %", or "off"

}  // namespace teal
