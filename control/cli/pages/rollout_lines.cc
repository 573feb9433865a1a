// SPDX-License-Identifier: Apache-2.0
#include "control/cli/pages/rollout_lines.h"

#include <map>

#include <fmt/format.h>

#include "control/cli/invocation/answer.h"
#include "control/cli/terminal/table.h"

namespace teal::cli {
namespace {

using nlohmann::json;

// "ramp: web to green, 5% of new flows (step 2 of 4); 25% in 42s"
std::string ramp_line(const json& service, const json& ramp, const Surroundings& around) {
  const auto percent = [&](const char* key) { return fmt::format("{:g}%", ramp.at(key).get<double>()); };
  std::string line = fmt::format("ramp: {} to {}, {} of new flows (step {} of {}); ", text(service, "name"),
                                 text(ramp, "to"), percent("share_percent"), number(ramp, "step"),
                                 ramp.at("steps_percent").size());
  if (const auto& paused = part(ramp, "paused"); !paused.is_null()) {
    const std::string why = text(ramp, "paused");
    line += why.empty() ? "paused" : "paused: " + why;
    line +=
        fmt::format("; teal abort {0} takes the share back, teal resume {0} goes on", text(service, "name"));
  } else if (const auto waits_for = text_or(ramp, "waits_for"); !waits_for.empty()) {
    line += fmt::format("{} after {}", percent("next_percent"), waits_for);
  } else if (const auto& left = part(ramp, "seconds_to_next"); left.is_number()) {
    const auto& trial = part(service, "trial");
    const auto needed = trial.is_null() ? 0 : number_or_0(trial, "flows_needed"),
               so_far = trial.is_null() ? 0 : number_or_0(trial, "flows");
    line += percent("next_percent");
    if (left.get<double>() > 0) line += " in " + span_text(left.get<double>());
    if (left.get<double>() > 0 && so_far < needed) line += ", and";
    if (left.get<double>() <= 0 || so_far < needed)
      line += fmt::format(" after {} ({} so far)", counted(needed, "new flow"), so_far);
  } else {
    line += fmt::format("{} at teal next {}", percent("next_percent"), text(service, "name"));
  }
  return filled(line, 2, around.columns);
}

// "waiting: web to green, asked by alice at 12:00:03: the hook pre_flip runs"
std::string waiting_line(const json& service, const json& waiting, const Surroundings& around) {
  return filled(
      fmt::format("waiting: {0} to {1}, asked by {2} at {3}: the hook pre_flip runs; teal abort {0} "
                  "calls it off",
                  text(service, "name"), text(waiting, "to"), text(waiting, "user"),
                  time_text(text(waiting, "since"))),
      2, around.columns);
}

// "bake: web on green, judged for 1m20s more: green: 0 of 4,210 refused, at most 0.1 % (blue 0.0 %)"
std::string bake_line(const json& service, const json& trial, const Surroundings& around) {
  return filled(
      fmt::format("bake: {} on {}, judged for {} more: {}", text(service, "name"), text(trial, "tested"),
                  span_text(trial.at("bake_seconds_left").get<double>()), text(trial, "text")),
      2, around.columns);
}

// "verdict so far: service-a: green: 0 of 4,210 refused, at most 0.1 % (blue 0.0 %)"
std::string verdict_line(const json& trial, const Surroundings& around) {
  return filled("verdict so far: " + text(trial, "text"), 2, around.columns);
}

// "judged at 12:00:03: web: green is bad: 61 of 1,220 reset, at least 4.0 % (blue 0.1 %); Teal rolled back"
std::string finding_line(const json& finding, const Surroundings& around) {
  static const std::map<std::string, std::string> kActions = {{"rollback", "; Teal rolled back"},
                                                              {"pause", "; Teal paused the ramp"},
                                                              {"nothing", "; Teal moved nothing"},
                                                              {"refused", "; Teal cannot go back yet"}};
  const auto action = kActions.find(text_or(finding, "action"));
  std::string line =
      filled(fmt::format("judged at {}: {}{}", time_text(text(finding, "at")), text(finding, "text"),
                         action == kActions.end() ? "" : action->second),
             2, around.columns);
  line.pop_back();
  return styled(line, Style::kWarning, around.colour) + "\n";
}

}  // namespace

bool is_of_present_rollout(const json& finding, const json& service) {
  const auto& ramp = part(service, "ramp");
  return number(finding, "rollout") ==
         (ramp.is_null() ? number(service, "generation_of_flip") : number(ramp, "id"));
}

std::vector<std::string> rollout_lines(const json& service, bool details, const Surroundings& around) {
  std::vector<std::string> lines;
  if (const auto& waiting = part(service, "waiting_release"); !waiting.is_null())
    lines.push_back(waiting_line(service, waiting, around));
  // A finding that Teal left to the operator is news until the operator acts.
  if (const auto& finding = part(service, "finding");
      !finding.is_null() &&
      (text_or(finding, "action") == "rollback" || is_of_present_rollout(finding, service)))
    lines.push_back(finding_line(finding, around));
  const auto &ramp = part(service, "ramp"), &trial = part(service, "trial");
  if (!ramp.is_null()) lines.push_back(ramp_line(service, ramp, around));
  if (trial.is_null()) return lines;
  if (text(trial, "kind") == "flip")
    lines.push_back(bake_line(service, trial, around));
  else if (details)
    lines.push_back(verdict_line(trial, around));
  if (details)
    for (const auto& signal : trial.at("signals"))
      if (number(signal.at("blue"), "flows") + number(signal.at("green"), "flows") != 0)
        lines.push_back(filled("  " + text(signal, "text"), 4, around.columns));
  return lines;
}

}  // namespace teal::cli
