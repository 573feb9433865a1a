// SPDX-License-Identifier: Apache-2.0
#include <time.h>

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/services.h"
#include "control/cli/pages/bars.h"
#include "control/cli/pages/status_page.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kDefaultInterval(1);

// Keeps only the named services, in the order of the file.
Outcome keep_named(json& services, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  const auto is_there = [&](const json& name, const auto& in) {
    return std::any_of(in.begin(), in.end(), [&](const json& service) { return service.at("name") == name; });
  };
  for (const auto& name : names) {
    if (!is_there(name, services)) return tl::unexpected(unknown_service(name, services));
  }
  json chosen = json::array();
  for (const auto& service : services) {
    if (std::find(names.begin(), names.end(), service.at("name")) != names.end()) chosen.push_back(service);
  }
  services = std::move(chosen);
  return {};
}

bool names_services(const Invocation& call) {
  return !call.arguments.positional.empty();
}

tl::expected<json, Failure> get_status(const Invocation& call) {
  auto reply = call.daemon.get("/v1/services");
  if (!reply) return reply;
  const auto selected = keep_named(reply->at("services"), call.arguments.positional);
  if (!selected) return tl::unexpected(selected.error());
  if (!call.json && !names_services(call)) sort_by_trouble(reply->at("services"));
  return reply;
}

std::string clock_line(std::chrono::milliseconds interval) {
  return fmt::format("{}, every {}\n", time_text(time(nullptr)),
                     span_text(std::chrono::duration<double>(interval).count()));
}

// The first lines of a text.
std::string head_of(const std::string& text, size_t lines) {
  size_t end = 0;
  while (lines-- != 0 && end < text.size()) end = std::min(text.find('\n', end), text.size() - 1) + 1;
  return text.substr(0, end);
}

// The page and, below it, the bars. On a terminal, services that do not fit are left out of both.
std::string watch_page(const json& reply, bool named, Bars& bars, const Surroundings& around) {
  const std::string drawn = bars.text(reply.at("services"), around.now(), around);
  if (!around.terminal || named) return status_page(reply, {.named = named}, around) + "\n" + drawn;
  constexpr size_t kOtherLines = 3;  // the clock, an empty line, and the line of the cursor
  const size_t rows = std::max<size_t>(around.rows, 2 * kOtherLines) - kOtherLines;
  const std::string page =
      status_page(reply, {.max_lines = rows - std::min(lines_of(drawn), rows / 3)}, around);
  return page + "\n" + head_of(drawn, rows - std::min(rows, lines_of(page)));
}

// The page, to be written over the one before with a single write. The screen is not cleared first, so it
// does not flicker. Lines that do not fit are counted.
std::string redrawn(const std::string& page, bool first, unsigned rows) {
  std::string screen = first ? "\033[2J\033[H" : "\033[H";
  auto lines = split(page, '\n');
  lines.pop_back();  // the empty text behind the last line end
  const size_t shown = lines.size() < rows ? lines.size() : rows - 2;
  for (size_t i = 0; i < shown; ++i) screen.append(lines[i]).append("\033[K\n");
  if (shown < lines.size()) screen += fmt::format("... and {} more lines\033[K\n", lines.size() - shown);
  return screen + "\033[J";
}

// Prints a page, or a line of JSON, at each interval. If the daemon does not answer, it may be restarting:
// the next interval asks again.
Outcome watch(const Invocation& call, std::chrono::milliseconds interval, uint64_t count) {
  auto reply = get_status(call);
  if (!reply) return tl::unexpected(reply.error());
  auto& around = call.around;
  auto& out = around.out;
  Bars bars;
  for (uint64_t shown = 0; shown < count;) {
    if (!reply && !may_pass(reply.error())) return tl::unexpected(reply.error());
    if (call.json) {
      call.print_line(reply ? *reply : to_json(reply.error()));
    } else {
      if (around.measure) around.measure(around);
      std::string text = clock_line(interval);
      if (reply) {
        text += watch_page(*reply, names_services(call), bars, around);
      } else {
        text += filled(reply.error().message + "; trying again", 0, around.columns);
      }
      out << (around.terminal ? redrawn(text, shown == 0, around.rows) : text + "\n") << std::flush;
    }
    if (!out || ++shown == count || !around.pause(interval)) return {};
    reply = get_status(call);
  }
  return {};
}

}  // namespace

Outcome run_status(const Invocation& call) {
  const auto interval = call.arguments.duration("interval");
  if (!interval) return tl::unexpected(interval.error());
  const auto count = call.arguments.number("count", 1, std::numeric_limits<uint32_t>::max());
  if (!count) return tl::unexpected(count.error());
  if (call.arguments.has("watch")) {
    return watch(call, interval->value_or(kDefaultInterval),
                 count->value_or(std::numeric_limits<uint64_t>::max()));
  }
  if (*interval || *count) {
    return tl::unexpected(
        usage_failure(fmt::format("teal status: --{} needs --watch", *interval ? "interval" : "count"),
                      "teal status --watch --interval 2s"));
  }
  const auto reply = get_status(call);
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
  } else {
    const bool all = names_services(call) || !call.around.terminal;
    const size_t max_lines = all ? 0 : std::max(call.around.rows, 2U) - 1;
    call.around.out << status_page(*reply, {names_services(call), max_lines}, call.around);
  }
  return {};
}

}  // namespace teal::cli
