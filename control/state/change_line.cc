// SPDX-License-Identifier: Apache-2.0
#include "control/state/change_line.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace teal {

namespace {

constexpr size_t kShownChangesBytes = 500;  // a flip of 1,024 services has 60 KB

}  // namespace

std::string change_line(const Intent& intent, std::string_view result) {
  std::string line =
      fmt::format("{} {}: {}; generation {}; {}", intent.verb, intent.changes.substr(0, kShownChangesBytes),
                  result, intent.generation, actor_text(intent.actor));
  if (intent.revision) line += fmt::format("; revision {}", *intent.revision);
  if (!intent.reason.empty()) line += "; reason: " + intent.reason;
  return line;
}

void log_change(int level, const Intent& intent, const std::string& result) {
  spdlog::log(static_cast<spdlog::level::level_enum>(level), "{}", change_line(intent, result));
}

std::string actor_text(const Actor& actor) {
  if (actor.is_teald()) return actor.user;
  return fmt::format("uid {}{}{}", actor.uid, actor.user.empty() ? "" : " (" + actor.user + ")",
                     actor.by_root() ? " as root" : "");
}

}  // namespace teal
