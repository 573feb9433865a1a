// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

constexpr uint64_t kDefaultFlows = 100;
constexpr uint64_t kMaxFlows = 1'000'000;

tl::expected<std::string, Failure> flows_query(const Arguments& arguments) {
  const auto limit = arguments.number("limit", 1, kMaxFlows);
  if (!limit) return tl::unexpected(limit.error());
  const auto colour = arguments.colour("colour");
  if (!colour) return tl::unexpected(colour.error());
  std::string text = fmt::format("/v1/flows?limit={}", limit->value_or(kDefaultFlows));
  for (const char* name : {"service", "colour", "backend", "client"}) {
    if (const auto value = arguments.value(name))
      text += fmt::format("&{}={}", name, percent_encoded(*value));
  }
  return text;
}

}  // namespace

Outcome run_flows(const Invocation& call) {
  const auto target = flows_query(call.arguments);
  if (!target) return tl::unexpected(target.error());
  const auto reply = call.daemon.get(*target);
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  Table table{.columns = {{"SERVICE", kLeft, true},
                          {"CLIENT", kLeft, true},
                          {"COLOUR"},
                          {"BACKEND", kLeft, true},
                          {"STATE"},
                          {"GEN", kRight},
                          {"IDLE", kRight}},
              .rows = {}};
  const auto& flows = reply->at("flows");
  for (const auto& flow : flows) {
    const auto colour = text(flow, "colour");
    table.rows.push_back({text(flow, "service"),
                          text(flow, "client"),
                          {colour, style_of(colour)},
                          text(flow, "backend"),
                          text(flow, "state"),
                          std::to_string(number(flow, "birth_generation")),
                          span_text(flow.at("idle_seconds").get<double>())});
  }
  auto& out = call.around.out;
  if (flows.empty()) {
    out << "no flows\n";
    return {};
  }
  out << table.text(call.around.columns, call.around.colour);
  if (flag(*reply, "truncated")) {
    out << fmt::format("{} of {} flows; --limit N shows more\n", flows.size(), number(*reply, "matched"));
  }
  return {};
}

}  // namespace teal::cli
