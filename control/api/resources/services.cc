// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/services[?view=summary], GET /v1/services/NAME
//
// Lists are written as text, service by service. A JSON tree of 1,024 services would take ten times the
// memory, and turning it into text would block the event loop.
#include <fmt/format.h>

#include "control/api/resources/fields.h"
#include "control/api/resources/service_view.h"

namespace teal {

namespace {

constexpr size_t kBackendsPerSlice = 64;  // then other tasks run, so that a long list delays no flip
constexpr size_t kServiceBytes = 2048;

// Nothing needs escaping: the config check limits names to [a-z0-9-], and addresses have no special
// characters.
std::string summarize(const Api& api) {
  const Catalogue& catalogue = api.executor.catalogue();
  std::string text =
      fmt::format("{{\"generation\":{},\"revision\":{},\"dataplane\":{},\"lock\":{},\"services\":[",
                  api.executor.generation(), catalogue.inventory().revision, to_text(view_dataplane(api)),
                  to_text(view_lock(api)));
  bool first = true;
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    fmt::format_to(std::back_inserter(text),
                   "{}{{\"name\":\"{}\",\"vip\":\"{}\",\"protocol\":\"{}\",\"active\":\"{}\","
                   "\"backends\":{{\"blue\":{},\"green\":{}}}}}",
                   first ? "" : ",", state.name, to_string(state.vip), protocol_name(state.vip),
                   name_of(state.active), service.pools[0].size(), service.pools[1].size());
    first = false;
  }
  return text + "],\"groups\":" + to_text(view_groups(api)) + "}\n";
}

Task<std::string> describe(Api& api) {
  // Services are found by name: a reload may rebuild the catalogue while this coroutine yields.
  const std::vector<std::string> names = api.executor.catalogue().names();
  std::string head = fmt::format(
      "{{\"generation\":{},\"revision\":{},\"dataplane\":{},\"lock\":{},\"storage\":{},\"config\":{},"
      "\"health\":{},",
      api.executor.generation(), api.executor.catalogue().inventory().revision, to_text(view_dataplane(api)),
      to_text(view_lock(api)), to_text(view_storage(api)), to_text(view_config(api)),
      to_text(view_prober(api)));
  std::string services;
  services.reserve(names.size() * kServiceBytes);
  size_t in_slice = 0;
  for (const std::string& name : names) {
    const CatalogueService* service = api.executor.catalogue().find(name);
    if (service == nullptr) continue;
    append(services, view_service(api, *service));
    in_slice += service->pools[0].size() + service->pools[1].size() + service->retired.size();
    if (in_slice < kBackendsPerSlice) continue;
    in_slice = 0;
    co_await yield_to_loop();
  }
  co_return fmt::format("{}\"services\":[{}],\"retired_services\":{},\"groups\":{}}}\n", head, services,
                        to_text(view_retired_services(api)), to_text(view_groups(api)));
}

}  // namespace

Task<Answer> list_services(Api& api, const Request& request) {
  const std::optional<std::string> view = query_value(request, "view");
  if (view && *view != "summary") co_return tl::unexpected(bad_parameter("view", *view, "summary"));
  if (view) co_return Response(summarize(api));
  std::string text = co_await describe(api);
  co_return Response(std::move(text));
}

Task<Answer> show_service(Api& api, const Request& request) {
  const auto service = named_service(api, request);
  if (!service) co_return tl::unexpected(service.error());
  co_return as_json(view_service(api, **service));
}

}  // namespace teal
