// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/services.h"
#include "control/cli/pages/health_words.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

Cell state_cell(const nlohmann::json& backend) {
  if (flag(backend, "retired")) return {"retired", Style::kWarning};
  const auto state = text(backend, "state");
  return {state, state == "ready" ? Style::kPlain : Style::kWarning};
}

std::string weight_text(const nlohmann::json& backend) {
  if (flag(backend, "retired")) return "";
  const auto weight = number(backend, "weight"), in_file = number(backend, "file_weight");
  const bool in_force = text(backend, "state") == "ready";  // else it is 0, whatever was set
  return weight == in_file || !in_force ? std::to_string(weight)
                                        : fmt::format("{} (file {})", weight, in_file);
}

bool any_has_health(const nlohmann::json& services) {
  for (const auto& service : services)
    for (const auto& pool : service.at("colours"))
      for (const auto& backend : pool.at("backends"))
        if (!part(backend, "health").is_null() || !part(backend, "ejected").is_null()) return true;
  return false;
}

}  // namespace

Outcome run_backend_list(const Invocation& call) {
  const auto services = get_services(call.daemon, call.arguments.positional);
  if (!services) return tl::unexpected(services.error());
  nlohmann::json backends = nlohmann::json::array();
  std::string problems;  // why next hops are unresolved, a line each
  const bool with_health = any_has_health(*services);
  Table table{.columns = {{"BACKEND", kLeft, true, true}, {"STATE"}, {"WEIGHT", kRight}, {"NEXT HOP"}},
              .rows = {}};
  if (with_health) table.columns.push_back({"HEALTH", kLeft, true, false, true});
  table.columns.push_back({"FLOWS", kRight});
  table.columns.push_back({"CLOSING", kRight});
  for (const auto& service : *services) {
    for (const char* colour : {"blue", "green"}) {
      for (const auto& backend : service.at("colours").at(colour).at("backends")) {
        nlohmann::json entry = {{"service", service.at("name")}, {"colour", colour}};
        entry.update(backend);
        backends.push_back(std::move(entry));
        const bool resolved = text(backend, "next_hop") == "resolved";
        const auto name = fmt::format("{}/{}/{}", text(service, "name"), colour, text(backend, "address"));
        if (const auto problem = text_or(backend, "next_hop_problem"); !problem.empty())
          problems += fmt::format("{}: {}\n", name, problem);
        std::vector<Cell> row = {name,
                                 state_cell(backend),
                                 weight_text(backend),
                                 {text(backend, "next_hop"), resolved ? Style::kPlain : Style::kWarning}};
        if (with_health) row.push_back(health_cell(backend));
        row.emplace_back(std::to_string(number(backend, "flows")));
        row.emplace_back(std::to_string(number(backend, "closing")));
        table.rows.push_back(std::move(row));
      }
    }
  }
  if (call.json) {
    call.print({{"backends", backends}});
  } else {
    call.around.out << table.text(call.around.columns, call.around.colour) << problems;
  }
  return {};
}

}  // namespace teal::cli
