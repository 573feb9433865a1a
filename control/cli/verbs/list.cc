// SPDX-License-Identifier: Apache-2.0
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/services.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

std::map<std::string, std::string> groups_by_service(const nlohmann::json& groups) {
  std::map<std::string, std::string> names;
  for (const auto& group : groups) {
    for (const auto& member : texts(group, "services")) {
      auto& of_service = names[member];
      of_service += (of_service.empty() ? "" : ", ") + text(group, "name");
    }
  }
  return names;
}

}  // namespace

Outcome run_list(const Invocation& call) {
  const auto reply = get_summary(call.daemon);
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
  auto groups = groups_by_service(reply->at("groups"));
  for (const auto& service : reply->at("services")) {
    const auto name = text(service, "name");
    const auto active = text(service, "active");
    const auto& backends = service.at("backends");
    table.rows.push_back({name,
                          text(service, "vip"),
                          text(service, "protocol"),
                          {active, style_of(active)},
                          std::to_string(number(backends, "blue")),
                          std::to_string(number(backends, "green")),
                          groups[name]});
  }
  auto& out = call.around.out;
  out << table.text(call.around.columns, call.around.colour);
  if (const auto& lock = part(*reply, "lock"); !lock.is_null())
    out << styled(lock_text(lock), Style::kWarning, call.around.colour) << "\n";
  if (const auto refused = text_or(reply->at("dataplane"), "segment_refused"); !refused.empty())
    out << styled("teald cannot use the dataplane's segment: " + refused, Style::kWarning, call.around.colour)
        << "\n";
  else if (!reply->at("dataplane").at("running").get<bool>())
    out << styled("the dataplane is not running", Style::kWarning, call.around.colour) << "\n";
  return {};
}

}  // namespace teal::cli
