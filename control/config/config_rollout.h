// SPDX-License-Identifier: Apache-2.0
//
// Reads the ramp of a service, and the rules of its judgement: [service.rollout]. Requests of operators are
// checked by the same rules.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "control/config/config.h"
#include "dataplane/config/config_reader.h"

namespace teal {

inline constexpr std::chrono::milliseconds kMinStepTime{100};
inline constexpr std::chrono::milliseconds kMaxStepTime = std::chrono::hours(168);

// Parses a share of new flows such as "25%" or "0.5%", with at most two digits behind the point. Returns
// nothing for any other text. The unit is 1/kShareOne.
std::optional<uint16_t> parse_share(std::string_view text);
std::string share_text(uint16_t share);  // the shortest text that parse_share() reads

// Returns the steps of a ramp. The error says what is wrong, and what was expected.
tl::expected<std::vector<uint16_t>, std::string> parse_steps(const std::vector<std::string>& texts);

// Reads the table [rollout], which has the rules for services that say nothing else.
RolloutRules read_rollout_defaults(const ConfigNode& root);

// Returns the ramp of [service.rollout]; nothing: it has no "steps". Changes the rules that the table has.
std::optional<RampPlan> read_rollout(const ConfigNode& table, RolloutRules& rules);

}  // namespace teal
