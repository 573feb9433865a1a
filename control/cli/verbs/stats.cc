// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/pages/status_ports.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verbs/verbs.h"
#include "dataplane/shm/counters.h"
#include "dataplane/shm/port_row.h"

namespace teal::cli {
namespace {

using nlohmann::json;

struct Meaning {
  std::string_view name;
  std::string_view text;
};

// Events are shown first, then drops, in the order of these lists.
constexpr Meaning kEvents[] = {
#define X(name, text) {#name, text},
    TEAL_EVENTS(X)
#undef X
};
constexpr Meaning kDrops[] = {
#define X(name, text) {#name, text},
    TEAL_DROP_REASONS(X)
#undef X
};

constexpr Meaning kNicCounters[] = {
#define X(name, text) {#name, text},
    TEAL_NIC_COUNTERS(X)
#undef X
};
// Verdicts of the steering program (bpf/steer_map.h).
constexpr Meaning kSteering[] = {
    {"pass", "packets passed to the kernel"},
    {"to_vip", "packets to a VIP, given to the workers"},
    {"from_backend", "packets from a backend, given to the workers"},
    {"icmp_error", "ICMP errors about a service, given to the workers"},
    {"fragment", "later fragments, given to the workers"},
    {"no_socket", "packets dropped: no dataplane had a socket on the queue"},
};

uint64_t count_of(const json& counters, std::string_view name) {
  return counters.value(std::string(name), uint64_t{0});
}

void add_counters(Table& table, const json& totals, std::span<const Meaning> meanings,
                  std::string_view prefix, bool all) {
  for (const auto& [name, text] : meanings) {
    const uint64_t count = count_of(totals, name);
    if (count != 0 || all)
      table.rows.push_back({std::string(name), std::to_string(count), fmt::format("{}{}", prefix, text)});
  }
}

// A daemon that is newer than this program may have more counters.
void add_unknown(Table& table, const json& totals, bool all) {
  for (const auto& [name, count] : totals.items()) {
    const auto is_it = [&name = name](const Meaning& meaning) { return meaning.name == name; };
    if (std::any_of(std::begin(kEvents), std::end(kEvents), is_it) ||
        std::any_of(std::begin(kDrops), std::end(kDrops), is_it))
      continue;
    if (count != 0 || all) table.rows.push_back({name, std::to_string(count.get<uint64_t>()), ""});
  }
}

Table workers_table(const json& workers) {
  Table table{.columns = {{"WORKER", kRight}, {"STATE"}, {"BUSY", kRight}, {"GENERATION", kRight}},
              .rows = {}};
  for (const auto& worker : workers) {
    table.rows.push_back({std::to_string(worker.at("index").get<uint64_t>()),
                          worker.at("state").get<std::string>(),
                          fmt::format("{:.1f}%", 100 * worker.at("busy_ratio").get<double>()),
                          std::to_string(worker.at("adopted_generation").get<uint64_t>())});
  }
  return table;
}

// The shown counters with a column for each worker. The workers are split into tables that fit the screen.
std::string by_worker(const json& workers, const Table& shown, const Surroundings& around) {
  size_t name_width = 0, count_width = 0;
  for (const auto& row : shown.rows) {
    name_width = std::max(name_width, row[0].text.size());
    count_width = std::max(count_width, row[1].text.size());  // the total is at least as wide as any count
  }
  count_width = std::max<size_t>(count_width, std::string_view("WORKER 00").size()) + 2;
  const size_t screen = around.columns;
  const size_t a_table = screen > name_width + count_width ? (screen - name_width) / count_width : 1;
  std::string text;
  for (size_t first = 0; first < workers.size(); first += a_table) {
    const size_t last = std::min(workers.size(), first + a_table);
    Table table{.columns = {{"COUNTER"}}, .rows = {}};
    for (size_t w = first; w < last; ++w) {
      table.columns.push_back({fmt::format("WORKER {}", workers[w].at("index").get<uint64_t>()), kRight});
    }
    for (const auto& row : shown.rows) {
      std::vector<Cell> cells = {row[0].text};
      for (size_t w = first; w < last; ++w)
        cells.emplace_back(std::to_string(count_of(workers[w].at("counters"), row[0].text)));
      table.rows.push_back(std::move(cells));
    }
    text += "\n" + table.text(around.columns, around.colour);
  }
  return text;
}

Table ports_table(const json& ports) {
  Table table{
      .columns = {{"PORT"}, {"INTERFACE"}, {"DRIVER"}, {"LINK"}, {"MBIT/S", kRight}, {"QUEUES", kRight}},
      .rows = {}};
  for (const auto& port : ports) {
    const auto speed = number(port, "speed_mbps");
    const auto link = text_or(port, "link");
    table.rows.push_back(
        {text_or(port, "name"), interface_text(port), text_or(port, "driver"),
         Cell{link, link == "down" ? Style::kWarning : Style::kPlain},
         speed == 0 ? "" : std::to_string(speed),
         fmt::format("{}{}", number(port, "queues"), flag(port, "spreads") ? "" : " (no RSS)")});
  }
  return table;
}

// Shows the counters of the NICs, then the counters of the steering program.
Table port_counters(const json& ports, const json& steering, bool all) {
  Table table{.columns = {{"PORT"}, {"COUNTER"}, {"TOTAL", kRight}, {"MEANING", kLeft, true}}, .rows = {}};
  const auto add = [&](const json& counters, const std::string& of, std::span<const Meaning> meanings) {
    for (const auto& [name, text] : meanings) {
      const uint64_t count = count_of(counters, name);
      if (count != 0 || all)
        table.rows.push_back({of, std::string(name), std::to_string(count), std::string(text)});
    }
  };
  for (const auto& port : ports) add(port.at("counters"), text_or(port, "name"), kNicCounters);
  if (steering.is_object()) add(steering, "steering", kSteering);
  return table;
}

}  // namespace

Outcome run_stats(const Invocation& call) {
  const auto reply = call.daemon.get("/v1/counters");
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  const auto& workers = reply->at("workers");
  const auto& totals = reply->at("totals");
  const bool all = call.arguments.has("all");
  auto& out = call.around.out;

  Table table{.columns = {{"COUNTER"}, {"TOTAL", kRight}, {"MEANING", kLeft, true}}, .rows = {}};
  add_counters(table, totals, kEvents, "", all);
  add_counters(table, totals, kDrops, "dropped: ", all);
  add_unknown(table, totals, all);

  out << (workers.empty() ? "no worker is running\n"
                          : workers_table(workers).text(call.around.columns, call.around.colour));
  out << '\n';
  if (table.rows.empty()) {
    out << "all counters are 0\n";
  } else {
    out << table.text(call.around.columns, call.around.colour);
    if (workers.size() > 1) out << by_worker(workers, table, call.around);
  }
  const auto& ports = part(*reply, "ports");
  if (!ports.is_array() || ports.empty()) return {};
  out << '\n' << ports_table(ports).text(call.around.columns, call.around.colour);
  const Table nics = port_counters(ports, part(*reply, "steering"), all);
  if (!nics.rows.empty()) out << '\n' << nics.text(call.around.columns, call.around.colour);
  return {};
}

}  // namespace teal::cli
