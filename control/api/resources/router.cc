// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/router.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "control/api/resources/changes.h"
#include "control/api/resources/fields.h"

namespace teal {

namespace {

constexpr std::string_view kName = "{name}";

struct Endpoint {
  std::string_view method;
  std::string_view path;  // "{name}" stands for any name
  Task<Answer> (*handle)(Api&, const Request&);
  std::string_view text;
  std::array<std::string_view, 5> query = {};  // the known parameters
  bool is_long = false;                        // needs a scan or megabytes

  std::span<const std::string_view> parameters() const {
    return {query.begin(), std::find(query.begin(), query.end(), std::string_view())};
  }
};

Task<Answer> show_resources(Api& api, const Request& request);

constexpr std::array kRoutes = {
    Endpoint{"GET", "/v1", show_resources, "all resources of the API"},
    Endpoint{"GET", "/v1/version", show_version, "the version and uptime of teald"},
    Endpoint{"GET",
             "/v1/services",
             list_services,
             "all services, their backends, flows and drains",
             {"view"},
             true},
    Endpoint{"GET", "/v1/services/{name}", show_service, "one service"},
    Endpoint{"GET",
             "/v1/services/{name}/drain",
             show_drain,
             "the drain of a service, and the clients and backends with most flows left",
             {},
             true},
    Endpoint{"POST", "/v1/flip", flip, "makes a colour active: new flows go there"},
    Endpoint{"POST", "/v1/rollback", roll_back,
             "undoes the latest flip, or returns to the colours of a generation"},
    Endpoint{"POST", "/v1/ramp", begin_ramp, "gives the idle colour a growing share of the new flows"},
    Endpoint{"POST", "/v1/next", next_step, "begins the next step of ramps now"},
    Endpoint{"POST", "/v1/pause", pause_ramp, "pauses ramps at their step"},
    Endpoint{"POST", "/v1/resume", resume_ramp, "resumes ramps"},
    Endpoint{"POST", "/v1/abort", abort_ramp, "ends ramps: all new flows go to the active colour again"},
    Endpoint{"POST", "/v1/verify", verify, "checks backends now, and says what a flip would meet"},
    Endpoint{"POST", "/v1/drain", set_drain, "changes timeout or end of drains"},
    Endpoint{"POST", "/v1/backend", set_backend, "sets the admin state or weight of a backend"},
    Endpoint{"POST", "/v1/preview", set_preview, "sends some clients to the idle colour"},
    Endpoint{"POST", "/v1/reload", reload, "reads the config file again"},
    Endpoint{"POST", "/v1/lock", lock, "locks changes"},
    Endpoint{"POST", "/v1/unlock", unlock, "unlocks changes"},
    Endpoint{"GET",
             "/v1/history",
             show_history,
             "changes: user, verb, time, reason and result",
             {"service", "limit", "before"},
             true},
    Endpoint{"GET", "/v1/events", follow_events, "events as they happen (server-sent events)", {"since"}},
    Endpoint{"GET",
             "/v1/flows",
             list_flows,
             "flows in the flow table",
             {"service", "colour", "backend", "client", "limit"},
             true},
    Endpoint{
        "GET", "/v1/health", show_health, "the health of the backends that are checked", {"service"}, true},
    Endpoint{"GET", "/v1/counters", show_counters, "the counters of each worker"},
    Endpoint{"GET", "/metrics", show_metrics, "metrics for Prometheus", {}, true},
};

bool matches(const Endpoint& route, std::string_view path) {
  const size_t name = route.path.find(kName);
  if (name == std::string_view::npos) return path == route.path;
  const std::string_view before = route.path.substr(0, name), after = route.path.substr(name + kName.size());
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after))
    return false;
  return path.substr(before.size(), path.size() - before.size() - after.size()).find('/') ==
         std::string_view::npos;
}

std::string methods_of(std::string_view path) {
  std::string methods;
  for (const Endpoint& route : kRoutes)
    if (matches(route, path))
      methods += std::string(route.method) + (route.method == "GET" ? ", HEAD, " : ", ");
  return methods.empty() ? "" : methods + "OPTIONS";
}

Task<Answer> show_resources(Api&, const Request&) {
  Json resources = Json::array();
  for (const Endpoint& route : kRoutes) {
    Json query = Json::array();
    for (const std::string_view name : route.parameters()) query.push_back(name);
    resources.push_back(
        {{"method", route.method}, {"path", route.path}, {"query", std::move(query)}, {"text", route.text}});
  }
  co_return as_json({{"resources", std::move(resources)}});
}

}  // namespace

std::string to_text(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append(std::string& list, const Json& value) {
  if (!list.empty()) list.push_back(',');
  list += to_text(value);
}

Response as_json(const Json& value) {
  return Response(to_text(value) + "\n");
}

Refusal no_such_service(const Api& api, const std::string& name) {
  const std::vector<std::string> names = api.executor.catalogue().names();
  return {404, "unknown_service",
          fmt::format("unknown service \"{}\"; the services are: {}", name,
                      names.empty() ? "none" : listed(names)),
          "teal list"};
}

tl::expected<const CatalogueService*, Refusal> named_service(const Api& api, const Request& request) {
  std::string name = request.path.substr(std::string_view("/v1/services/").size());
  name.resize(std::min(name.find('/'), name.size()));
  const CatalogueService* service = api.executor.catalogue().find(name);
  if (service == nullptr) return tl::unexpected(no_such_service(api, name));
  return service;
}

Task<Response> answer(Api& api, const Request& request) {
  const auto route = std::find_if(kRoutes.begin(), kRoutes.end(), [&](const Endpoint& candidate) {
    return candidate.method == request.method && matches(candidate, request.path);
  });
  if (route == kRoutes.end()) {
    const std::string methods = request.path == "*" ? "GET, HEAD, POST, OPTIONS" : methods_of(request.path);
    if (request.method == "OPTIONS" && !methods.empty()) {
      Response response(204, "");
      response.allow = methods;
      co_return response;
    }
    if (methods.empty())
      co_return refused(
          {404, "unknown_path", fmt::format("no resource {}", request.path), "GET /v1 lists all resources"});
    Response response =
        refused({405, "method_not_allowed",
                 fmt::format("{} accepts {}, not {}", request.path, methods, request.method), ""});
    response.allow = methods;
    co_return response;
  }
  if (const auto checked = check_query(request, route->parameters()); !checked)
    co_return refused(checked.error());
  const bool is_read = request.method == "GET";
  std::optional<Semaphore::Permit> place;
  if (is_read) {
    Semaphore::Permit taken = co_await api.lane_of(request).enter(route->is_long);
    place.emplace(std::move(taken));
  }
  Answer answer = co_await route->handle(api, request);
  if (!answer && !is_read) {
    const auto executor = co_await asio::this_coro::executor;
    note_refusal(api, executor, request, answer.error());
  }
  if (!answer) co_return refused(answer.error());
  co_return std::move(*answer);
}

}  // namespace teal
