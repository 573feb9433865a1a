// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/table.h"
#include "control/cli/verb.h"

namespace teal::cli {
namespace {

std::string groups_of(const std::string& service, const nlohmann::json& groups) {
  std::string names;
  for (const auto& group : groups) {
    for (const auto& member : group.at("services")) {
      if (member == service) names += (names.empty() ? "" : ", ") + group.at("name").get<std::string>();
    }
  }
  return names;
}

}  // namespace

Outcome run_list(const Invocation& call) {
  const auto reply = call.daemon.get("/v1/services");
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  Table table{.columns = {{"SERVICE", kLeft, true},
                          {"VIP", kLeft, true},
                          {"PROTOCOL"},
                          {"ACTIVE"},
                          {"BLUE", kRight},
                          {"GREEN", kRight},
                          {"GROUPS", kLeft, true}},
              .rows = {}};
  for (const auto& service : reply->at("services")) {
    const auto name = service.at("name").get<std::string>();
    const auto active = service.at("active").get<std::string>();
    const auto backends = [&](const char* colour) {
      return std::to_string(service.at("colours").at(colour).at("backends").size());
    };
    table.rows.push_back({name,
                          service.at("vip").get<std::string>(),
                          service.at("protocol").get<std::string>(),
                          {active, style_of(active)},
                          backends("blue"),
                          backends("green"),
                          groups_of(name, reply->at("groups"))});
  }
  call.around.out << table.text(call.around.columns, call.around.colour);
  return {};
}

}  // namespace teal::cli
