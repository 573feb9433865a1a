// SPDX-License-Identifier: Apache-2.0
#include "control/change/change_lock.h"

#include <fmt/format.h>

#include "control/loop/wall_clock.h"

namespace teal {

tl::expected<Change, Refusal> plan_lock(ChangeLock wanted, const std::optional<ChangeLock>& present) {
  if (present) return tl::unexpected(Refusal{423, "locked", lock_text(*present), "teal unlock", {}});
  Change change{.verb = "lock"};
  change.fields = {{"lock", lock_json(wanted)}};
  change.lock = LockChange{std::move(wanted)};
  return change;
}

Change plan_unlock(const std::optional<ChangeLock>& present) {
  Change change{.verb = "unlock"};
  change.fields = {{"lock", nullptr}, {"removed", lock_json(present)}};
  if (present) change.lock = LockChange{};
  change.despite_lock = true;
  return change;
}

std::string lock_text(const ChangeLock& lock) {
  return fmt::format("{} (uid {}) locked all changes at {}{}{}",
                     lock.user.empty() ? "an unknown user" : lock.user, lock.uid, rfc3339(lock.at_ms),
                     lock.reason.empty() ? "" : ": ", lock.reason);
}

nlohmann::ordered_json lock_json(const std::optional<ChangeLock>& lock) {
  if (!lock) return nullptr;
  return {
      {"uid", lock->uid}, {"user", lock->user}, {"reason", lock->reason}, {"since", rfc3339(lock->at_ms)}};
}

}  // namespace teal
