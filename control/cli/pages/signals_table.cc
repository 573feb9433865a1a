// SPDX-License-Identifier: Apache-2.0
#include "control/cli/pages/signals_table.h"

#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"

namespace teal::cli {
namespace {

using nlohmann::json;

struct CountRow {
  const char* title;
  const char* outcome;   // as in the API
  const char* protocol;  // nullptr: both
};
constexpr CountRow kCountRows[] = {
    {"begun", "begun", nullptr},
    {"answered", "answered", nullptr},
    {"refused", "refused", "tcp"},
    {"unanswered", "unanswered", "tcp"},
    {"reset by the backend", "reset", "tcp"},
    {"without a reply", "without_reply", "udp"},
};
struct TimeRow {
  const char* title;
  const char* time;
};
constexpr TimeRow kTimeRows[] = {{"handshake, 99 % within", "handshake"},
                                 {"first answer, 99 % within", "first_answer"}};
constexpr std::array kColours = {"blue", "green"};

uint64_t sum_of(const json& pool, const char* outcome) {
  uint64_t sum = 0;
  for (const auto& backend : pool.at("backends"))
    if (const auto& outcomes = part(backend, "outcomes"); !outcomes.is_null())
      sum += number(outcomes, outcome);
  return sum;
}

bool has_flows(const json& service) {
  for (const char* colour : kColours)
    if (sum_of(service.at("colours").at(colour), "begun") != 0) return true;
  return false;
}

// A part of the flows that began is shown as a rate, too.
Cell count_cell(const json& pool, const CountRow& row) {
  const uint64_t begun = sum_of(pool, "begun"), count = sum_of(pool, row.outcome);
  if (row.outcome == std::string_view("begun") || count == 0 || begun == 0) return std::to_string(count);
  return fmt::format("{} ({:.1f} %)", count, static_cast<double>(count) * 100 / static_cast<double>(begun));
}

Cell time_cell(const json& pool, const TimeRow& row) {
  const auto& times = part(pool, "times");
  if (times.is_null()) return "";
  const auto& p99 = part(times.at(row.time), "p99_us");
  return p99.is_null() ? "" : span_text(p99.get<double>() / 1e6);
}

void add_rows_of(Table& table, const json& service) {
  std::string name = text(service, "name");
  const auto protocol = text(service, "protocol");
  const auto add = [&](const char* title, const auto& cell_of) {
    table.rows.push_back({std::exchange(name, ""), title, cell_of(service.at("colours").at("blue")),
                          cell_of(service.at("colours").at("green"))});
  };
  for (const CountRow& row : kCountRows)
    if (row.protocol == nullptr || protocol == row.protocol)
      add(row.title, [&](const json& pool) { return count_cell(pool, row); });
  if (protocol != "tcp") return;
  for (const TimeRow& row : kTimeRows) add(row.title, [&](const json& pool) { return time_cell(pool, row); });
}

}  // namespace

std::string signals_table(const json& services, const Surroundings& around) {
  Table table{
      .columns = {{"SERVICE", kLeft, true}, {"SIGNAL", kLeft, true}, {"BLUE", kRight}, {"GREEN", kRight}},
      .rows = {}};
  for (const auto& service : services)
    if (has_flows(service)) add_rows_of(table, service);
  return table.rows.empty() ? "" : table.text(around.columns, around.colour);
}

std::string failing_words(const json& backend) {
  const auto& outcomes = part(backend, "outcomes");
  if (outcomes.is_null() || number(outcomes, "answered") != 0) return "";
  std::string words;
  for (const char* outcome : {"refused", "unanswered"})
    if (const uint64_t count = number(outcomes, outcome); count != 0)
      words += fmt::format("{}{} {}", words.empty() ? "no flow answered: " : ", ", count, outcome);
  return words;
}

}  // namespace teal::cli
