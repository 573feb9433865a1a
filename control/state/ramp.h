// SPDX-License-Identifier: Apache-2.0
//
// A ramp is a flip in steps. At each step the idle colour gets a larger share of the new flows; the last step
// is the flip itself. The text of a ramp is JSON, in the database and in the records of changes:
//   {"id":12,"steps":[100,500,10000],"step":0,"every_ms":60000,"manual":false,"paused":"a look at the logs",
//    "slow_us":512}
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "control/config/config.h"
#include "control/state/object_reader.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

struct Ramp {
  uint64_t id = 0;    // the generation that began it; the members of a group's ramp have the same
  RampPlan plan;      // at least two steps
  uint32_t step = 0;  // the step in force; never the last one
  std::optional<std::string> paused;  // why; nothing: the next step comes by itself, unless plan.manual
  uint32_t slow_us = 0;  // a first answer that takes longer is slow (TrafficSplit); 0: one that takes 1 s

  uint16_t share() const { return plan.steps[step]; }
  uint16_t next_share() const { return plan.steps[step + 1]; }
  bool next_is_flip() const { return step + 2 == plan.steps.size(); }
  bool goes_on() const { return !paused && !plan.manual; }
  friend bool operator==(const Ramp&, const Ramp&) = default;
};

nlohmann::ordered_json to_json(const Ramp& ramp);
// A value that is not as expected is reported to the reader.
Ramp read_ramp(ObjectReader& object);

std::string to_text(const Ramp& ramp);
tl::expected<Ramp, std::string> parse_ramp(std::string_view text);

}  // namespace teal
