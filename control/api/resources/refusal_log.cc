// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/refusal_log.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/state/change_line.h"

namespace teal {

namespace {

constexpr size_t kLoggedBytes = 500;  // of a message and of a target

// Codes that an administrator wants to see: somebody tried what the lock, a gate or the socket forbids, or
// what the state of the disk or of the dataplane prevents.
constexpr std::array<std::string_view, 8> kWarnings = {"locked",       "refused",   "read_only",
                                                       "cross_origin", "storage",   "segment_refused",
                                                       "no_free_slot", "bad_config"};

}  // namespace

void RefusalLog::note(const std::optional<Actor>& actor, std::string_view what, const std::string& reason,
                      const Refusal& refusal) {
  // Such a change was published, and its own line says so.
  if (refusal.code == "adoption_timeout") return;
  end_windows();
  const auto window =
      windows_.try_emplace(std::string(refusal.code), Window{.until = clock_.now() + kWindow}).first;
  if (++window->second.attempts > kLogged) return;
  const bool warns = std::find(kWarnings.begin(), kWarnings.end(), refusal.code) != kWarnings.end();
  std::string who = "the user is not known";
  if (actor) who = actor_text({actor->uid, users_.known(actor->uid), actor->kind});
  spdlog::log(warns ? spdlog::level::warn : spdlog::level::info, "{} was refused ({}): {}{}{}; {}{}{}",
              what.substr(0, kLoggedBytes), refusal.code, refusal.message.substr(0, kLoggedBytes),
              refusal.details.empty() ? "" : ": ",
              refusal.details.empty() ? "" : refusal.details.front().substr(0, kLoggedBytes), who,
              reason.empty() ? "" : "; reason: ", reason.substr(0, kLoggedBytes));
}

Task<void> RefusalLog::note_with_name(Actor actor, std::string what, std::string reason, Refusal refusal) {
  (void)co_await users_.soon(actor.uid, clock_);
  note(actor, what, reason, refusal);
}

void RefusalLog::end_windows() {
  const Clock::Time now = clock_.now();
  std::erase_if(windows_, [&](const auto& entry) {
    const auto& [code, window] = entry;
    if (now < window.until) return false;
    if (window.attempts > kLogged)
      spdlog::warn("{} more attempts were refused ({}) within {} s", window.attempts - kLogged, code,
                   kWindow.count());
    return true;
  });
}

}  // namespace teal
