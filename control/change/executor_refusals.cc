// SPDX-License-Identifier: Apache-2.0
#include "control/change/executor_refusals.h"

#include <fmt/format.h>

namespace teal {

Refusal conflict(uint64_t expected, uint64_t present) {
  return {409,
          "conflict",
          fmt::format("the generation is {}, not {}: another change was made since", present, expected),
          "look at `teal list`, then repeat the command with the present generation, or leave it",
          {}};
}

Refusal not_recorded(const std::string& why) {
  return {503,
          "storage",
          "nothing was changed, because the change could not be recorded: " + why,
          "repair the disk; a rollback works without it",
          {}};
}

Refusal segment_refused(const std::string& why) {
  return {503,
          "segment_refused",
          "nothing was changed: there is a segment, but teald cannot use it: " + why,
          "compare the versions of teald and teal-dataplane, then restart the older one",
          {}};
}

Refusal no_free_slot() {
  return {503,
          "no_free_slot",
          "nothing was changed: no slot of the segment became free within 2 s, because a worker is stalled",
          "look at teal status and at teal-dataplane's log",
          {}};
}

Refusal not_adopted(uint64_t generation, const Adoption& adoption, const std::string& way_back) {
  return {504,
          "adoption_timeout",
          fmt::format("generation {} was published and stays in force, but only {} of {} workers adopted it "
                      "within 2 s",
                      generation, adoption.adopted, adoption.live),
          "teal status shows the workers" + (way_back.empty() ? "" : "; " + way_back + " undoes the change"),
          {}};
}

}  // namespace teal
