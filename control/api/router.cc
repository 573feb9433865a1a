// SPDX-License-Identifier: Apache-2.0
#include "control/api/router.h"

#include <array>
#include <exception>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace teal {

namespace {

struct Route {
  std::string_view method;
  std::string_view path;  // one that ends in "/" takes a name after it
  bool takes_query;
  Task<Answer> (*handle)(Api&, const Request&);
};

constexpr std::array kRoutes = {
    Route{"GET", "/v1/version", false, show_version},   Route{"GET", "/v1/services", false, list_services},
    Route{"GET", "/v1/services/", false, show_service}, Route{"GET", "/v1/flows", true, list_flows},
    Route{"GET", "/v1/counters", false, show_counters}, Route{"POST", "/v1/flip", false, flip},
    Route{"POST", "/v1/rollback", false, roll_back},
};

bool matches(const Route& route, std::string_view path) {
  if (route.path.back() != '/') return path == route.path;
  return path.size() > route.path.size() && path.starts_with(route.path);
}

Response to_response(const Answer& answer) {
  if (!answer) return refused(answer.error());
  // Names come from a checked config, but a request may be quoted in an answer, and it may hold anything.
  return {200, answer->dump(-1, ' ', false, Json::error_handler_t::replace), ""};
}

}  // namespace

Response refused(const Refusal& refusal) {
  Json error = {{"code", refusal.code}, {"message", refusal.message}};
  if (!refusal.hint.empty()) error["hint"] = refusal.hint;
  return {refusal.status, Json{{"error", error}}.dump(-1, ' ', false, Json::error_handler_t::replace), ""};
}

Refusal no_such_service(const Api& api, const std::string& name) {
  const std::vector<std::string> names = api.switcher.catalogue().names();
  return {404, "unknown_service",
          fmt::format("no service \"{}\"; there are: {}", name, names.empty() ? "none" : listed(names)),
          "teal list"};
}

Task<Response> answer(Api& api, const Request& request) {
  std::string_view other_method;
  for (const Route& route : kRoutes) {
    if (!matches(route, request.path)) continue;
    if (route.method != request.method) {
      other_method = route.method;
      continue;
    }
    if (!route.takes_query && !request.query.empty())
      co_return refused(Refusal::bad_request(
          fmt::format("{} takes no query, got \"{}\"", request.path, request.query.front().first)));
    const Answer answer = co_await route.handle(api, request);
    co_return to_response(answer);
  }
  if (!other_method.empty()) {
    Response response =
        refused({405, "method_not_allowed",
                 fmt::format("{} does not take {}, but {}", request.path, request.method, other_method), ""});
    response.allow = other_method;
    co_return response;
  }
  std::string paths;
  for (const Route& route : kRoutes)
    paths += fmt::format("{}{} {}{}", paths.empty() ? "" : ", ", route.method, route.path,
                         route.path.back() == '/' ? "NAME" : "");
  co_return refused({404, "unknown_path", fmt::format("no {}; there are: {}", request.path, paths), ""});
}

}  // namespace teal
