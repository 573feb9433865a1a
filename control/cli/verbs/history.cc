// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

using nlohmann::json;

constexpr uint64_t kDefaultChanges = 20;
constexpr uint64_t kMaxChanges = 1000;

tl::expected<std::string, Failure> history_query(const Arguments& arguments) {
  const auto limit = arguments.number("limit", 1, kMaxChanges);
  if (!limit) return tl::unexpected(limit.error());
  const auto before = arguments.number("before", 1, UINT64_MAX);
  if (!before) return tl::unexpected(before.error());
  std::string text = fmt::format("/v1/history?limit={}", limit->value_or(kDefaultChanges));
  if (!arguments.positional.empty()) text += "&service=" + percent_encoded(arguments.positional.front());
  if (*before) text += fmt::format("&before={}", **before);
  return text;
}

std::string what_text(const json& change, bool colour) {
  std::string what = text(change, "verb");
  if (const auto changes = changes_text(part(change, "changes"), colour); !changes.empty())
    what += " " + changes;
  if (const auto detail = text_or(change, "detail"); !detail.empty() && change.at("result") != "done")
    what += fmt::format("; {}", detail);
  if (const auto reason = text_or(change, "reason"); !reason.empty()) what += fmt::format(" \"{}\"", reason);
  return what;
}

Cell result_cell(const json& change) {
  const auto result = text(change, "result");
  if (result != "done")
    return {result == "adoption_timeout" ? "not adopted in time" : result, Style::kWarning};
  const auto& duration = part(change, "duration_us");
  if (!duration.is_number() || duration.get<double>() <= 0) return result;
  return "done, " + span_text(duration.get<double>() / 1e6);
}

}  // namespace

Outcome run_history(const Invocation& call) {
  const auto target = history_query(call.arguments);
  if (!target) return tl::unexpected(target.error());
  const auto reply = call.daemon.get(*target);
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  auto& out = call.around.out;
  const auto& changes = reply->at("changes");
  if (changes.empty()) {
    out << "no changes\n";
    return {};
  }
  Table table{.columns = {{"GEN", kRight},
                          {"REV", kRight},
                          {"WHEN"},
                          {"WHO", kLeft, true},
                          {"RESULT"},
                          {"WHAT", kLeft, true, true, true}},
              .rows = {}};
  for (const auto& change : changes) {
    const auto generation = number_or_0(change, "generation");
    const auto revision = number_or_0(change, "revision");
    table.rows.push_back({generation == 0 ? "" : std::to_string(generation),
                          revision == 0 ? "" : std::to_string(revision), time_text(text(change, "at")),
                          who_text(change), result_cell(change), what_text(change, false)});
  }
  out << table.text(call.around.columns, call.around.colour);
  if (flag(*reply, "truncated"))
    out << fmt::format("older changes: --limit N, or --before {}\n", number(changes.back(), "id"));
  return {};
}

}  // namespace teal::cli
