// SPDX-License-Identifier: Apache-2.0
#include "control/cli/pages/status_ports.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/terminal/table.h"

namespace teal::cli {
namespace {

using nlohmann::json;

// "1200 rx_missed, 3 rx_no_buffers"
std::string losses_text(const json& loser) {
  std::vector<std::string> losses;
  for (const auto& [name, lost] : part(loser, "losses").items())
    if (lost != 0) losses.push_back(fmt::format("{} {}", lost.get<uint64_t>(), clean(name)));
  return joined(losses, ", ");
}

Cell losses_cell(const json& loser) {
  return {losses_text(loser), number_or_0(loser, "lost_last_minute") != 0 ? Style::kWarning : Style::kPlain};
}

}  // namespace

std::string interface_text(const json& port) {
  return text_or(port, "interface") + (flag(port, "owned_by_dpdk") ? " (TAP)" : "");
}

std::vector<std::string> port_warnings(const json& dataplane) {
  std::vector<std::string> lines;
  for (const auto& port : part(dataplane, "ports")) {
    const std::string name = text_or(port, "name");
    if (text_or(port, "link") == "down") lines.push_back(fmt::format("port {}: link down", name));
    if (const auto lost = number_or_0(port, "lost_last_minute"); lost != 0)
      lines.push_back(
          fmt::format("port {} loses packets: {} in the last minute; see teal stats", name, lost));
  }
  const auto& steering = part(dataplane, "steering");
  if (const auto lost = steering.is_null() ? 0 : number_or_0(steering, "lost_last_minute"); lost != 0)
    lines.push_back(
        fmt::format("the steering program drops packets: {} in the last minute; no dataplane has a socket on "
                    "their queue; see teal stats",
                    lost));
  return lines;
}

std::string ports_table(const json& dataplane, const Surroundings& around) {
  Table table{.columns = {{"PORT", kLeft, true},
                          {"INTERFACE", kLeft, true},
                          {"LINK"},
                          {"MBIT/S", kRight},
                          {"DRIVER", kLeft, true},
                          {"QUEUES", kRight},
                          {"LOST", kLeft, true}},
              .rows = {}};
  for (const auto& port : part(dataplane, "ports")) {
    const auto link = text_or(port, "link");
    const auto speed = number_or_0(port, "speed_mbps");
    table.rows.push_back(
        {text_or(port, "name"),
         interface_text(port),
         {link, link == "down" ? Style::kWarning : Style::kPlain},
         speed == 0 ? "" : std::to_string(speed),
         text_or(port, "driver"),
         fmt::format("{}{}", number_or_0(port, "queues"), flag(port, "spreads") ? "" : " (no RSS)"),
         losses_cell(port)});
  }
  if (const auto& steering = part(dataplane, "steering");
      !steering.is_null() && !losses_text(steering).empty())
    table.rows.push_back({"steering program", "", "", "", "", "", losses_cell(steering)});
  if (table.rows.empty()) return {};
  return "\n" + table.text(around.columns, around.colour);
}

}  // namespace teal::cli
