// SPDX-License-Identifier: Apache-2.0
#include "control/cli/invocation/services.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "dataplane/config/nearest.h"

namespace teal::cli {
namespace {

// For up to this many names, one request for each is less work for the daemon than one request for all
// services.
constexpr size_t kAskedOneByOne = 8;

// `kind` is "service" or "group", and `entries` are all that the daemon knows.
Failure unknown(std::string_view kind, const std::string& name, const nlohmann::json& entries) {
  std::vector<std::string> names;
  for (const auto& entry : entries) names.push_back(text(entry, "name"));
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  return {.code = fmt::format("unknown_{}", kind),
          .message = fmt::format("unknown {0} \"{1}\"; the {0}s are: {2}", kind, name,
                                 names.empty() ? "none" : names_or_count(names)),
          .hint = nearest_hint(name, candidates, fmt::format("teal list shows the {}s", kind))};
}

}  // namespace

tl::expected<nlohmann::json, Failure> get_summary(const Client& daemon) {
  return daemon.get("/v1/services?view=summary");
}

tl::expected<std::vector<std::string>, Failure> selected_services(const Invocation& call) {
  const auto chosen = selection(call);
  if (!chosen) return tl::unexpected(chosen.error());
  if (chosen->contains("services")) return call.arguments.positional;
  const auto name = chosen->at("group").get<std::string>();
  const auto summary = get_summary(call.daemon);
  if (!summary) return tl::unexpected(summary.error());
  for (const auto& group : summary->at("groups")) {
    if (group.at("name") == name) return group.at("services").get<std::vector<std::string>>();
  }
  return tl::unexpected(unknown("group", name, summary->at("groups")));
}

tl::expected<nlohmann::json, Failure> get_services(const Client& daemon,
                                                   const std::vector<std::string>& names) {
  nlohmann::json chosen = nlohmann::json::array();
  if (!names.empty() && names.size() <= kAskedOneByOne) {
    for (const auto& name : names) {
      auto service = daemon.get("/v1/services/" + percent_encoded(name));
      if (!service) return tl::unexpected(service.error());
      chosen.push_back(std::move(*service));
    }
    return chosen;
  }
  auto all = daemon.get("/v1/services");
  if (!all) return tl::unexpected(all.error());
  auto& services = all->at("services");
  if (names.empty()) return std::move(services);
  for (const auto& name : names) {
    const auto found = std::find_if(services.begin(), services.end(),
                                    [&](const auto& service) { return service.at("name") == name; });
    if (found == services.end()) return tl::unexpected(unknown_service(name, services));
    chosen.push_back(*found);
  }
  return chosen;
}

Failure unknown_service(const std::string& name, const nlohmann::json& services) {
  return unknown("service", name, services);
}

}  // namespace teal::cli
