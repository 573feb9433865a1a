// SPDX-License-Identifier: Apache-2.0
#include "control/change/old_intent.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "control/config/config_drain.h"

namespace teal {

namespace {

// The member `key` of an object; "" if there is none, or no text in it.
std::string text_of(const nlohmann::json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

RecordedService old_drain(const nlohmann::json& changed, const ServiceState& service) {
  RecordedService record = record_of(service);
  const auto timeout = changed.find("timeout_seconds");
  if (timeout != changed.end() && timeout->is_number()) {
    const double ms =
        std::clamp<double>(timeout->get<double>() * 1e3, static_cast<double>(kMinTimeout.count()),
                           static_cast<double>(kMaxTimeout.count()));
    record.drain_timeout = std::chrono::milliseconds(std::llround(ms));
  }
  const auto then = changed.find("then");
  if (then != changed.end() && then->is_string())
    record.drain_then = *then == "reset" ? DrainConfig::Then::kReset : DrainConfig::Then::kWait;
  return record;
}

RecordedBackend old_backend(const nlohmann::json& changed, const BackendState& backend) {
  RecordedBackend record = record_of(backend);
  Membership& member = record.members[text_of(changed, "colour") == kColourNames[1] ? 1 : 0];
  const nlohmann::json state = changed.value("state", nlohmann::json::object());
  for (size_t i = 0; i < kAdminStateNames.size(); ++i)
    if (text_of(state, "to") == kAdminStateNames[i]) member.admin = static_cast<AdminState>(i);
  const nlohmann::json weight = changed.value("weight", nlohmann::json::object());
  if (const auto to = weight.is_object() ? weight.find("to") : weight.end(); to != weight.end())
    member.weight =
        to->is_number_unsigned() ? std::optional(std::min(to->get<uint32_t>(), kMaxWeight)) : std::nullopt;
  return record;
}

}  // namespace

ChangeRecord record_of_old_intent(const OpenIntent& intent, const Inventory& inventory) {
  ChangeRecord record;
  const nlohmann::json changes = nlohmann::json::parse(intent.changes, nullptr, false);
  if (!changes.is_array()) return record;
  for (const nlohmann::json& change : changes) {
    if (!change.is_object()) continue;
    const ServiceState* service = inventory.service(text_of(change, "service"));
    if (service == nullptr) continue;
    if (intent.verb == "drain") record.services.push_back(old_drain(change, *service));
    if (intent.verb != "backend") continue;
    for (const BackendState& backend : inventory.backends)
      if (backend.service == service->id && !backend.retired &&
          to_string(backend.socket) == text_of(change, "address"))
        record.backends.push_back(old_backend(change, backend));
  }
  return record;
}

}  // namespace teal
