// SPDX-License-Identifier: Apache-2.0
#include "control/change/change.h"

namespace teal {

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

}  // namespace teal
