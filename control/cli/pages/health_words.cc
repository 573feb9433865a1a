// SPDX-License-Identifier: Apache-2.0
#include "control/cli/pages/health_words.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"

namespace teal::cli {
namespace {

using nlohmann::json;

std::string since_words(const json& object, const char* key) {
  const auto since = text_or(object, key);
  return since.empty() ? "since teald started" : "since " + time_text(since);
}

bool is_certainly_up(const json& backend) {
  const auto health = text_or(backend, "health");
  return health.empty() || (health == "up" && !backend.contains("health_unknown_since"));
}

Cell checked_cell(const json& backend) {
  const auto health = text_or(backend, "health");
  if (health.empty()) return {""};
  if (health == "unchecked") return {health, Style::kWarning};  // nothing was ever known
  std::string words = health;
  if (const auto reason = text_or(backend, "health_reason"); !reason.empty())
    words += (health == "up" ? ", last check failed: " : ": ") + reason;
  if (backend.contains("health_unknown_since"))
    words = fmt::format("unknown {}, last known: {}", since_words(backend, "health_unknown_since"), words);
  return {words, is_certainly_up(backend) ? Style::kPlain : Style::kWarning};
}

}  // namespace

Cell health_cell(const json& backend) {
  Cell cell = checked_cell(backend);
  const auto& ejected = part(backend, "ejected");
  if (ejected.is_null()) return cell;
  const auto words =
      fmt::format("ejected until {}: {}", time_text(text(ejected, "until")), text(ejected, "reason"));
  return {cell.text.empty() ? words : cell.text + ", " + words, Style::kWarning};
}

bool is_healthy(const json& backend) {
  if (!part(backend, "ejected").is_null()) return false;
  return is_certainly_up(backend);
}

bool takes_new_flows(const json& backend) {
  const auto state = text_or(backend, "state");
  return !flag(backend, "retired") && (state.empty() || state == "ready") && number(backend, "weight") != 0;
}

std::string prober_problem(const json& prober) {
  if (prober.is_null() || number_or_0(prober, "checked") == 0 || flag(prober, "fresh")) return "";
  return fmt::format("teal-health {}: health is unknown {}, and the last known health stays",
                     flag(prober, "connected") ? "is silent" : "is not connected",
                     since_words(prober, "unknown_since"));
}

}  // namespace teal::cli
