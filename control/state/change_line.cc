// SPDX-License-Identifier: Apache-2.0
#include "control/state/change_line.h"

#include <fmt/format.h>

namespace teal {

namespace {

constexpr size_t kShownChangesBytes = 500;  // a flip of 1,024 services has 60 KB

std::string who_text(const Actor& actor) {
  if (actor.is_teald()) return actor.user;
  return user_text(actor.uid, actor.user) + (actor.by_root() ? " as root" : "");
}

}  // namespace

std::string change_line(const Intent& intent, std::string_view result) {
  std::string line =
      fmt::format("{} {}: {}; generation {}; {}", intent.verb, intent.changes.substr(0, kShownChangesBytes),
                  result, intent.generation, who_text(intent.actor));
  if (intent.revision) line += fmt::format("; revision {}", *intent.revision);
  if (!intent.reason.empty()) line += "; reason: " + intent.reason;
  return line;
}

std::string user_text(uint32_t uid, const std::string& user) {
  return user.empty() ? fmt::format("uid {}", uid) : fmt::format("uid {} ({})", uid, user);
}

}  // namespace teal
