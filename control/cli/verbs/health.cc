// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/services.h"
#include "control/cli/pages/health_words.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

using nlohmann::json;

// "web: http every 1s"
std::string check_line(const json& service) {
  const auto& check = part(service, "check");
  if (check.is_null()) return fmt::format("{}: no check\n", text(service, "name"));
  return fmt::format("{}: {} every {}\n", text(service, "name"), text(check, "kind"),
                     span_text(check.at("interval_seconds").get<double>()));
}

bool has_ejected(const json& service) {
  const auto& backends = service.at("backends");
  return std::any_of(backends.begin(), backends.end(),
                     [](const json& backend) { return !part(backend, "ejected").is_null(); });
}

void add_rows(Table& table, const json& service) {
  std::string name = text(service, "name");
  for (const auto& backend : service.at("backends")) {
    const auto colour = text(backend, "colour");
    const auto since = text_or(backend, "health_since");
    table.rows.push_back({std::exchange(name, ""),
                          {colour, style_of(colour)},
                          text(backend, "address"),
                          since.empty() ? "" : time_text(since),
                          health_cell(backend)});
  }
}

// Pools that do not serve as usual.
std::string pool_lines(const json& service) {
  std::string lines;
  for (const char* colour : {"blue", "green"}) {
    const auto& pool = service.at("pools").at(colour);
    const auto mode = text(pool, "mode");
    if (mode == "normal") continue;
    lines += fmt::format("{}/{}: {} of {} weight is up, so {}\n", text(service, "name"), colour,
                         number(pool, "weight_up"), number(pool, "weight"),
                         mode == "reject" ? "new flows are rejected" : "all backends serve");
  }
  return lines;
}

}  // namespace

Outcome run_health(const Invocation& call) {
  const auto& names = call.arguments.positional;
  auto reply = call.daemon.get(names.size() == 1 ? "/v1/health?service=" + percent_encoded(names.front())
                                                 : std::string("/v1/health"));
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  auto& out = call.around.out;
  const auto& prober = reply->at("prober");
  if (const auto problem = prober_problem(prober); !problem.empty()) {
    std::string shown = filled(problem, 2, call.around.columns);
    shown.pop_back();  // the line end comes after the style
    out << styled(shown, Style::kWarning, call.around.colour) << "\n";
  }
  Table table{
      .columns = {{"SERVICE", kLeft, true}, {"COLOUR"}, {"BACKEND"}, {"SINCE"}, {"HEALTH", kLeft, true}},
      .rows = {}};
  std::string lines;
  for (const auto& service : reply->at("services")) {
    if (names.empty() && part(service, "check").is_null() && !has_ejected(service)) continue;
    if (!names.empty()) lines += check_line(service);
    add_rows(table, service);
    lines += pool_lines(service);
  }
  if (table.rows.empty()) {
    out << "no service has a check; teal.toml(5) describes [service.check]\n";
    return {};
  }
  out << lines << table.text(call.around.columns, call.around.colour);
  return {};
}

}  // namespace teal::cli
