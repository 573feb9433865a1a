// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/health[?service=NAME]
#include <fmt/format.h>

#include "control/api/resources/fields.h"
#include "control/api/resources/service_view.h"
#include "control/health/health_policy.h"
#include "control/loop/wall_clock.h"

namespace teal {

namespace {

constexpr size_t kHealthPerSlice = 128;  // backends; then other tasks run

Json view_check(const HealthCheck& check) {
  Json view = {{"kind", name_of(check.kind)},
               {"interval_seconds", std::chrono::duration<double>(check.interval).count()},
               {"timeout_seconds", std::chrono::duration<double>(check.timeout).count()},
               {"rise", check.rise},
               {"fall", check.fall}};
  return view;
}

Json view_pool(const Api& api, const CatalogueService& service, size_t colour) {
  const PoolWeight weight = weight_of(service.pools[colour], api.health);
  const PoolMode mode = api.health_upkeep.words().modes[service.id][colour];
  return {
      {"mode", kPoolModeNames[static_cast<size_t>(mode)]}, {"weight", weight.all}, {"weight_up", weight.up}};
}

Json view_backends(const Api& api, const CatalogueService& service) {
  Json backends = Json::array();
  for (size_t colour = 0; colour < kColours; ++colour) {
    for (const PoolMember& member : service.pools[colour]) {
      Json backend = {{"address", to_string(member.socket)}, {"colour", kColourNames[colour]}};
      add_health(backend, api, member.id);
      if (const BackendHealth* known = api.health.of(member.id); known != nullptr)
        backend["last_check"] = known->passed ? Json(*known->passed ? "passed" : "failed") : Json(nullptr);
      backends.push_back(std::move(backend));
    }
  }
  return backends;
}

Json view_of(const Api& api, const CatalogueService& service) {
  const bool is_checked = service.config->check.has_value();
  return {{"name", service.config->name},
          {"check", is_checked ? view_check(*service.config->check) : Json(nullptr)},
          {"pools", {{"blue", view_pool(api, service, 0)}, {"green", view_pool(api, service, 1)}}},
          {"backends", view_backends(api, service)}};
}

Task<std::string> describe_health(Api& api, std::vector<std::string> names) {
  std::string head = fmt::format("{{\"prober\":{},\"services\":[", to_text(view_prober(api)));
  std::string services;
  size_t in_slice = 0;
  // Services are found by name: a reload may rebuild the catalogue while this coroutine yields.
  for (const std::string& name : names) {
    const CatalogueService* service = api.executor.catalogue().find(name);
    if (service == nullptr) continue;
    append(services, view_of(api, *service));
    in_slice += service->pools[0].size() + service->pools[1].size();
    if (in_slice < kHealthPerSlice) continue;
    in_slice = 0;
    co_await yield_to_loop();
  }
  co_return head + services + "]}\n";
}

}  // namespace

void add_health(Json& backend, const Api& api, uint16_t id) {
  if (const Ejector::Ejection* ejection = api.health.ejector().of(id); ejection != nullptr)
    backend["ejected"] = {{"until", rfc3339(ejection->until_ms)},
                          {"failures", ejection->failures},
                          {"times", ejection->times},
                          {"reason", reason_of(*ejection)}};
  const BackendHealth* known = api.health.of(id);
  if (known == nullptr) {
    backend["health"] = nullptr;
    return;
  }
  backend["health"] = name_of(known->health);
  if (known->since_ms != 0) backend["health_since"] = time_or_null(known->since_ms);
  if (!known->reason.empty()) backend["health_reason"] = known->reason;
  if (const auto since_ms = api.health.unknown_since_ms())
    backend["health_unknown_since"] = time_or_null(*since_ms);
}

Json view_prober(const Api& api) {
  const auto since_ms = api.health.unknown_since_ms();
  return {{"checked", api.health.checked()},
          {"connected", api.health.is_connected()},
          {"fresh", !since_ms.has_value()},
          {"unknown_since", since_ms ? time_or_null(*since_ms) : Json(nullptr)}};
}

Task<Answer> show_health(Api& api, const Request& request) {
  std::vector<std::string> names = api.executor.catalogue().names();
  if (const auto wanted = query_value(request, "service")) {
    if (api.executor.catalogue().find(*wanted) == nullptr)
      co_return tl::unexpected(no_such_service(api, *wanted));
    names = {*wanted};
  }
  std::string text = co_await describe_health(api, std::move(names));
  Response response(std::move(text));
  co_return response;
}

}  // namespace teal
