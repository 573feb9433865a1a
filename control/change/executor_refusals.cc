// SPDX-License-Identifier: Apache-2.0
#include "control/change/executor_refusals.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace teal {

Refusal conflict(std::string_view what, uint64_t expected, uint64_t present) {
  return {
      409,
      "conflict",
      present > expected
          ? fmt::format("the {} is {}, not {}: another change was made since", what, present, expected)
          : fmt::format("the {} is {}, not {}", what, present, expected),
      fmt::format("look at `teal history`, then repeat the command with the present {}, or leave it", what),
      {}};
}

Refusal id_of_another_request(const std::string& id) {
  return {409,
          "conflict",
          fmt::format("nothing was changed: the request id \"{}\" belongs to an earlier request, which asked "
                      "for something else",
                      id),
          "send another change with another request id",
          {}};
}

Refusal answer_is_lost(const std::string& why) {
  return {503,
          "storage",
          "an earlier request with this id was carried out, but its answer cannot be read: " + why,
          "teal history shows the change",
          {}};
}

Refusal not_recorded(const std::string& why) {
  return {503,
          "storage",
          "nothing was changed, because the change could not be recorded: " + why,
          "mend what the message names; a rollback and an unlock work without it",
          {}};
}

Refusal segment_refused(const std::string& why) {
  return {503,
          "segment_refused",
          "nothing was changed: there is a segment, but teald cannot use it: " + why,
          why.find(std::strerror(EACCES)) != std::string::npos
              ? "let teald's user read and write the segment: compare the users and groups of both processes"
              : "teald and teal-dataplane must be of one release: restart both, teal-dataplane first",
          {}};
}

Refusal no_free_slot() {
  return {503,
          "no_free_slot",
          "nothing was changed: no slot of the segment became free within 2s, because a worker is stalled",
          "look at teal status and at teal-dataplane's log",
          {}};
}

Refusal not_adopted(uint64_t generation, const Adoption& adoption, const std::string& way_back) {
  return {504,
          "adoption_timeout",
          fmt::format("generation {} was published and stays in force, but only {} of {} workers adopted it "
                      "within 2s",
                      generation, adoption.adopted, adoption.live),
          "teal status shows the workers" + (way_back.empty() ? "" : "; " + way_back + " undoes the change"),
          {}};
}

void say_not_recorded(const std::string& why, const ChangeOptions& options, ChangeResult& result) {
  result.recorded = false;
  result.warnings.push_back(fmt::format("the change{} is in force, but not recorded yet: {}",
                                        options.request ? " (with its request id, which is in memory)" : "",
                                        why));
}

void warn_without_dataplane(const Change& change, ChangeResult& result) {
  if (result.dataplane_running || change.lock) return;
  result.warnings.emplace_back(
      "no dataplane is running: new flows follow this change when one starts, and Teal does not know which "
      "backends it will reach");
}

}  // namespace teal
