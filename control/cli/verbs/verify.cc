// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/pages/health_words.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kDefaultPatience(5), kMostPatience(120);
// For teald's answer, after the checks: it gives silent neighbours 2 s, and it may be busy.
constexpr std::chrono::seconds kAnswerPatience(10);

Cell check_cell(const json& backend) {
  const auto check = text_or(backend, "check");
  if (check.empty()) return {"none"};
  return {check == "no_answer" ? "no answer" : check, check == "passed" ? Style::kPlain : Style::kWarning};
}

Cell hop_cell(const json& backend) {
  const bool resolved = text(backend, "next_hop") == "resolved";
  const auto problem = text_or(backend, "next_hop_problem");
  return {resolved || problem.empty() ? text(backend, "next_hop") : problem,
          resolved ? Style::kPlain : Style::kWarning};
}

Cell weight_cell(const json& backend) {
  const auto state = text(backend, "state");
  if (state != "ready") return {state, Style::kWarning};  // the weight in force is 0 then
  return {std::to_string(number(backend, "weight"))};
}

Table table_of_backends(const json& services) {
  Table table{.columns = {{"BACKEND", kLeft, true, true},
                          {"WEIGHT", kRight},
                          {"NEXT HOP", kLeft, true},
                          {"CHECK"},
                          {"HEALTH", kLeft, true, false, true}},
              .rows = {}};
  for (const auto& service : services)
    for (const auto& backend : service.at("backends"))
      table.rows.push_back(
          {fmt::format("{}/{}/{}", text(service, "name"), text(service, "to"), text(backend, "address")),
           weight_cell(backend), hop_cell(backend), check_cell(backend), health_cell(backend)});
  return table;
}

// The exit code says what a flip would meet. The answer is complete in any case.
Outcome outcome_of(json reply) {
  const auto verdict = text(reply, "verdict");
  if (verdict == "flips" || verdict == "unchanged") return {};
  Failure failure{.code = verdict, .message = text(reply, "text")};
  if (verdict == "no_answer") {
    failure.exit_code = kTimeout;
    failure.hint = flag(part(reply, "prober"), "fresh")
                       ? "a longer --timeout waits for slower checks"
                       : "teal health shows since when teal-health does not report";
  } else {
    failure.exit_code = kRefused;
    failure.details = texts(reply, "reasons");
    failure.hint = "teal health and teal backend list show more; nothing was changed";
  }
  failure.done = std::make_shared<const json>(std::move(reply));
  return tl::unexpected(std::move(failure));
}

}  // namespace

Outcome run_verify(const Invocation& call) {
  auto request = selection(call);
  if (!request) return tl::unexpected(request.error());
  const auto to = call.arguments.colour("to");
  if (!to) return tl::unexpected(to.error());
  if (*to) (*request)["to"] = **to;
  const auto timeout = call.arguments.duration("timeout");
  if (!timeout) return tl::unexpected(timeout.error());
  const std::chrono::milliseconds patience = timeout->value_or(kDefaultPatience);
  if (patience > kMostPatience)
    return tl::unexpected(usage_failure("teal verify: --timeout is more than 2m, which is the longest wait",
                                        "teal verify --help describes it"));
  (*request)["timeout"] = fmt::format("{}ms", patience.count());
  Client daemon = call.daemon;
  daemon.set_timeout(patience + kAnswerPatience);
  auto reply = daemon.inquire("/v1/verify", *request);
  if (!reply) return tl::unexpected(reply.error());
  const Outcome outcome = outcome_of(*reply);
  if (call.json) {
    if (outcome) call.print(*reply);
    return outcome;
  }
  auto& around = call.around;
  around.out << table_of_backends(reply->at("services")).text(around.columns, around.colour);
  for (const std::string& warning : texts(*reply, "warnings"))
    around.err << filled("warning: " + warning, 2, around.columns);
  if (outcome) around.out << text(*reply, "text") << "\n";
  return outcome;
}

}  // namespace teal::cli
