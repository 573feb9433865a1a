// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/invocation/drain_ends.h"
#include "control/cli/invocation/services.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verbs/verbs.h"
#include "control/config/config_drain.h"
#include "dataplane/config/config_reader.h"

namespace teal::cli {
namespace {

using nlohmann::json;

// Describes the end of a drain whose flows are shown.
std::string deadline_text(const json& draining, bool dataplane_running) {
  const auto then = text(draining, "then");
  const std::string at = time_text(text(draining, "deadline"));
  const double seconds_left = draining.at("seconds_left").get<double>();
  if (seconds_left > 0) return fmt::format("{}, in {}; then {}", at, span_text(seconds_left), then);
  if (text(draining, "state") == "resetting")
    return fmt::format("passed at {}; the remaining flows are being reset", at);
  if (then == "wait") return fmt::format("passed at {}, then wait: the flows may stay", at);
  return fmt::format(
      "passed at {}, then reset: {}", at,
      dataplane_running ? "the flows are reset in a moment" : "the flows are reset when a dataplane runs");
}

std::string oldest_text(const json& oldest) {
  std::string line = fmt::format("began in generation {}", number(oldest, "born_generation"));
  if (const auto before = text_or(oldest, "born_before"); !before.empty())
    line += ", before " + time_text(before);
  return line;
}

std::string most_flows(const json& rows, const char* title, const Surroundings& around) {
  if (rows.empty()) return {};
  Table table{.columns = {{title, kLeft, true}, {"FLOWS", kRight}}, .rows = {}};
  for (const auto& row : rows)
    table.rows.push_back({text(row, "address"), std::to_string(number(row, "flows"))});
  return "\n" + table.text(around.columns, around.colour);
}

std::string drain_page(const json& reply, const Surroundings& around) {
  const auto name = text(reply, "service"), active = text(reply, "active");
  const auto& draining = reply.at("draining");
  const bool dataplane_running = reply.value("dataplane_running", true);
  if (draining.is_null()) {
    const auto idle = other_colour(active);
    const uint64_t flows = number_or_0(reply, "idle_flows");
    std::string page = fmt::format("{}: {} is active; no drain, {} has {}\n", name, active, idle,
                                   flows == 0 ? "no flows" : counted(flows, "flow"));
    if (flows != 0)
      page += filled(
          fmt::format("  of a ramp or a preview: teal abort {} ends a ramp, and teal flows {} shows them",
                      name, name),
          2, around.columns);
    return page;
  }
  const auto colour = text(draining, "colour");
  std::string page =
      fmt::format("{}: {} is active, {} is {}\n", name, styled(active, style_of(active), around.colour),
                  styled(colour, style_of(colour), around.colour), text(draining, "state"));
  const auto line = [&](std::string_view what, const std::string& value) {
    page += fmt::format("  {:<9} {}", what, filled(value, 12, around.columns));
  };
  line("flows", fmt::format("{} left, {} closing", number(draining, "flows"), number(draining, "closing")));
  line("deadline", deadline_text(draining, dataplane_running));
  if (const auto& estimate = draining.at("estimate_seconds"); estimate.is_number())
    line("estimate", fmt::format("done in about {}", span_text(estimate.get<double>())));
  else
    line("estimate", dataplane_running ? "none: too few flows have ended recently" : "none");
  if (!dataplane_running) line("dataplane", "not running: flows neither end nor are reset");
  if (const auto& oldest = draining.at("oldest"); !oldest.is_null()) line("oldest", oldest_text(oldest));
  page += most_flows(draining.at("backends"), "BACKEND", around);
  page += most_flows(draining.at("clients"), "CLIENT", around);
  return page;
}

ChangeWords drain_words(const json& reply, const Surroundings& around) {
  ChangeWords words;
  if (const auto changes = changes_text(reply.at("changed"), around.colour); !changes.empty())
    words.done = words.would = "drain " + changes;
  const auto nothing = texts(reply, "nothing_drains"), unchanged = texts(reply, "unchanged");
  const std::string no_drain =
      fmt::format("{} {} no drain", names_or_count(nothing), nothing.size() == 1 ? "has" : "have");
  const bool none_drains = nothing.size() == unchanged.size();
  words.nothing = none_drains ? no_drain : unchanged_text(reply, "already at this deadline");
  std::vector<std::string> kept;
  std::copy_if(unchanged.begin(), unchanged.end(), std::back_inserter(kept), [&](const std::string& name) {
    return std::find(nothing.begin(), nothing.end(), name) == nothing.end();
  });
  if (!words.done.empty() && !kept.empty())
    words.lines = fmt::format("unchanged: {}\n", names_or_count(kept));
  words.lines += drain_end_lines(reply, around.columns);
  if (!nothing.empty() && !(none_drains && words.done.empty())) words.lines += no_drain + "\n";
  return words;
}

Outcome show_drains(const Invocation& call) {
  const auto names = selected_services(call);
  if (!names) return tl::unexpected(names.error());
  json all = json::array();
  for (const auto& name : *names) {
    auto reply = call.daemon.get(fmt::format("/v1/services/{}/drain", percent_encoded(name)));
    if (!reply) return tl::unexpected(reply.error());
    all.push_back(std::move(*reply));
  }
  if (call.json) {
    call.print({{"services", all}});
    return {};
  }
  for (size_t i = 0; i < all.size(); ++i)
    call.around.out << (i == 0 ? "" : "\n") << drain_page(all[i], call.around);
  return {};
}

}  // namespace

Outcome run_drain(const Invocation& call) {
  const auto timeout =
      call.arguments.duration("timeout", std::chrono::duration_cast<std::chrono::hours>(kMaxTimeout));
  if (!timeout) return tl::unexpected(timeout.error());
  const auto then = call.arguments.choice("then", "wait|reset");
  if (!then) return tl::unexpected(then.error());
  if (call.arguments.has("from-now") && !*timeout)
    return tl::unexpected(
        usage_failure("teal drain: --from-now needs --timeout TIME",
                      "teal drain SERVICE --timeout 2m --from-now sets a deadline in 2 minutes"));
  if (!*timeout && !*then) {
    for (const auto& option : change_options()) {
      if (!call.arguments.has(option.name)) continue;
      return tl::unexpected(
          usage_failure(fmt::format("teal drain: --{} needs --timeout or --then", option.name),
                        "without --timeout and --then, teal drain only shows the drain"));
    }
    return show_drains(call);
  }
  auto request = selection(call);
  if (!request) return tl::unexpected(request.error());
  if (*timeout) (*request)["timeout"] = duration_text(**timeout);
  if (*then) (*request)["then"] = **then;
  if (call.arguments.has("from-now")) (*request)["from_now"] = true;
  const auto reply = post_change(call, "/v1/drain", std::move(*request));
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  print_change(call, *reply, drain_words(*reply, call.around));
  return {};
}

}  // namespace teal::cli
