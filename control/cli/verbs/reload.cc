// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/invocation/drain_ends.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 3> kLists = {"added", "changed", "retired"};

// "web/green/198.18.2.23:8080", or the name of a service or a group, or "" for settings of the whole file.
std::string plan_subject(const json& entry) {
  std::string name = text_or(entry, "service");
  if (const auto colour = text_or(entry, "colour"); !colour.empty()) name += "/" + colour;
  if (const auto address = text_or(entry, "address"); !address.empty()) name += "/" + address;
  return name;
}

bool resets_some(const json& reply) {
  const auto& drains = part(reply, "drains");
  return std::any_of(drains.begin(), drains.end(),
                     [](const json& drain) { return number(drain, "resets") != 0; });
}

std::string plan_lines(const json& reply, const Surroundings& around) {
  const auto& plan = reply.at("plan");
  Table table{.columns = {{"PLAN"},
                          {"KIND"},
                          {"NAME", kLeft, true, true},
                          {"DETAIL", kLeft, true, true, true},
                          {"FLOWS", kRight}},
              .rows = {}};
  uint64_t held = 0, broken = 0;
  for (const char* list : kLists) {
    for (const auto& entry : part(plan, list)) {
      const bool breaks = part(entry, "breaks").is_number();
      const auto& flows = part(entry, breaks ? "breaks" : "flows");
      const std::string_view kind(list);
      if (flows.is_number()) (breaks ? broken : held) += flows.get<uint64_t>();
      table.rows.push_back({{list, kind == "retired" ? Style::kWarning : Style::kPlain},
                            text_or(entry, "kind"),
                            plan_subject(entry),
                            text_or(entry, "detail"),
                            flows.is_number() ? std::to_string(flows.get<uint64_t>()) : ""});
    }
  }
  std::string lines;
  if (!table.rows.empty()) lines = table.text(around.columns, around.colour);
  if (held != 0)
    lines +=
        filled(fmt::format("retired: takes no new flows; its {} continue until they end{}",
                           counted(held, "flow"), resets_some(reply) ? ", or the drain resets them" : ""),
               2, around.columns);
  lines += drain_end_lines(reply, around.columns);
  if (broken != 0)
    lines += filled(fmt::format("moved: {} break, because their packets no longer reach the other end",
                                counted(broken, "flow")),
                    2, around.columns);
  for (const auto& line : texts(plan, "restart")) lines += filled("restart: " + line, 2, around.columns);
  return lines;
}

std::string counts(const json& plan) {
  std::string text;
  for (const char* list : kLists) {
    if (const auto count = part(plan, list).size(); count != 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, list);
  }
  return text;
}

}  // namespace

Outcome run_reload(const Invocation& call) {
  json request = json::object();
  if (call.arguments.has("force")) request["force"] = true;
  const auto reply = post_change(call, "/v1/reload", std::move(request));
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  const auto& plan = reply->at("plan");
  ChangeWords words{.nothing = "the file is in force already", .lines = plan_lines(*reply, call.around)};
  if (const auto changes = counts(plan); !changes.empty()) {
    words.done = "reloaded, " + changes;
    words.would = "reload: " + changes;
  } else if (!part(plan, "restart").empty()) {
    words.nothing = "the differences need a restart of teal-dataplane";
  }
  print_change(call, *reply, words);
  return {};
}

}  // namespace teal::cli
