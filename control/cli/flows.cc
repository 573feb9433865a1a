// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/table.h"
#include "control/cli/verb.h"

namespace teal::cli {
namespace {

constexpr uint64_t kDefaultLimit = 100;
constexpr uint64_t kLargestLimit = 1'000'000;

tl::expected<std::string, Failure> query(const Arguments& arguments) {
  const auto limit = arguments.number("limit", 1, kLargestLimit);
  if (!limit) return tl::unexpected(limit.error());
  const auto colour = arguments.colour("colour");
  if (!colour) return tl::unexpected(colour.error());
  std::string text = fmt::format("/v1/flows?limit={}", limit->value_or(kDefaultLimit));
  for (const char* name : {"service", "colour", "backend", "client"}) {
    if (const auto value = arguments.value(name))
      text += fmt::format("&{}={}", name, percent_encoded(*value));
  }
  return text;
}

std::string idle_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f}s", seconds);
  const auto whole = static_cast<uint64_t>(seconds);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

}  // namespace

Outcome run_flows(const Invocation& call) {
  const auto target = query(call.arguments);
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
                          {"BORN", kRight},
                          {"IDLE", kRight}},
              .rows = {}};
  const auto& flows = reply->at("flows");
  for (const auto& flow : flows) {
    const auto colour = flow.at("colour").get<std::string>();
    table.rows.push_back({flow.at("service").get<std::string>(),
                          flow.at("client").get<std::string>(),
                          {colour, style_of(colour)},
                          flow.at("backend").get<std::string>(),
                          flow.at("state").get<std::string>(),
                          std::to_string(flow.at("birth_generation").get<uint64_t>()),
                          idle_text(flow.at("idle_seconds").get<double>())});
  }
  auto& out = call.around.out;
  if (flows.empty()) {
    out << "no flows\n";
    return {};
  }
  out << table.text(call.around.columns, call.around.colour);
  if (reply->value("truncated", false)) {
    out << fmt::format("{} of {} flows; --limit N shows more\n", flows.size(),
                       reply->at("matched").get<uint64_t>());
  }
  return {};
}

}  // namespace teal::cli
