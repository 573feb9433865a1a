// SPDX-License-Identifier: Apache-2.0
#include "control/change/change.h"

namespace teal {

static bool is_flip(const Change& change, const ServiceState& state) {
  return std::find(change.flips.begin(), change.flips.end(), state.id) != change.flips.end();
}

void number_states(Change& change, uint64_t generation, const Actor& actor, int64_t now_ms) {
  for (ServiceState& state : change.services) {
    if (state.ramp && state.ramp->id == 0) state.ramp->id = generation;
    if (!is_flip(change, state)) continue;
    state.flip_generation = generation;
    state.flipped_at_ms = now_ms;
    if (actor.is_teald())
      state.flipped_by.reset();  // no user made it
    else
      state.flipped_by->uid = actor.uid;
    if (state.undo) state.undo->generation = generation;
  }
}

std::vector<ServiceState> flipped(const Change& change) {
  std::vector<ServiceState> states;
  for (const ServiceState& state : change.services)
    if (is_flip(change, state)) states.push_back(state);
  return states;
}

ChangeRecord record_of(const Change& change) {
  ChangeRecord record;
  for (const ServiceState& service : change.services) record.services.push_back(record_of(service));
  for (const BackendState& backend : change.backends) record.backends.push_back(record_of(backend));
  return record;
}

nlohmann::ordered_json shown_changes(const Change& change) {
  using Json = nlohmann::ordered_json;
  if (change.fields.contains("changed")) return change.fields["changed"];
  Json changes = Json::array();
  const Json plan = change.fields.value("plan", Json::object());
  for (const char* list : {"added", "changed", "retired"}) {
    for (Json entry : plan.value(list, Json::array())) {
      entry["what"] = list;
      changes.push_back(std::move(entry));
    }
  }
  return changes;
}

nlohmann::ordered_json answer_json(const ChangeResult& result) {
  using Json = nlohmann::ordered_json;
  if (!result.first_answer.is_null()) {
    Json repeated = result.first_answer;
    repeated["repeated"] = true;
    return repeated;
  }
  Json answer = {
      {"generation", result.generation}, {"revision", result.revision}, {"dry_run", result.dry_run}};
  answer.update(result.fields);
  if (!result.dry_run) {  // a dry run publishes nothing that workers could adopt
    const Adoption& adoption = result.adoption;
    answer["workers"] = {{"live", adoption.live}, {"adopted", adoption.adopted}, {"asleep", adoption.asleep}};
    answer["slowest_us"] = adoption.slowest_us > 0 ? Json(adoption.slowest_us) : Json(nullptr);
  }
  answer["dataplane_running"] = result.dataplane_running;
  answer["recorded"] = result.recorded;
  answer["repeated"] = false;
  answer["warnings"] = result.warnings;
  return answer;
}

}  // namespace teal
