// SPDX-License-Identifier: Apache-2.0
#include "control/change/change.h"

#include <fmt/format.h>

#include "control/loop/wall_clock.h"

namespace teal {

Refusal conflict(uint64_t expected, uint64_t present) {
  return {409,
          "conflict",
          fmt::format("the generation is {}, not {}: somebody else changed something in between", present,
                      expected),
          "look at `teal list`, then decide anew",
          {}};
}

nlohmann::ordered_json lock_json(const std::optional<ChangeLock>& lock) {
  if (!lock) return nullptr;
  return {
      {"uid", lock->uid}, {"user", lock->user}, {"reason", lock->reason}, {"since", rfc3339(lock->at_ms)}};
}

}  // namespace teal
