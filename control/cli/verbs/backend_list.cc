// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/services.h"
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

}  // namespace

Outcome run_backend_list(const Invocation& call) {
  const auto services = get_services(call.daemon, call.arguments.positional);
  if (!services) return tl::unexpected(services.error());
  nlohmann::json backends = nlohmann::json::array();
  std::string problems;  // why next hops are unresolved, a line each
  Table table{.columns = {{"BACKEND", kLeft, true},
                          {"STATE"},
                          {"WEIGHT", kRight},
                          {"NEXT HOP"},
                          {"FLOWS", kRight},
                          {"CLOSING", kRight}},
              .rows = {}};
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
        table.rows.push_back({name,
                              state_cell(backend),
                              weight_text(backend),
                              {text(backend, "next_hop"), resolved ? Style::kPlain : Style::kWarning},
                              std::to_string(number(backend, "flows")),
                              std::to_string(number(backend, "closing"))});
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
