// SPDX-License-Identifier: Apache-2.0
#include "control/change/change_lock.h"

#include <fmt/format.h>

#include "control/loop/wall_clock.h"
#include "control/state/actor.h"

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
  const Actor actor{lock.uid, lock.user, lock.by_root ? Actor::Kind::kLogin : Actor::Kind::kUser};
  return fmt::format("{} locked all changes at {}{}{}", text_of(actor), rfc3339(lock.at_ms),
                     lock.reason.empty() ? "" : ": ", lock.reason);
}

Refusal locked(const ChangeLock& lock) {
  return {423, "locked", lock_text(lock), "ask the user who locked, or run teal unlock", {}};
}

nlohmann::ordered_json lock_json(const std::optional<ChangeLock>& lock) {
  if (!lock) return nullptr;
  return {{"uid", lock->uid},
          {"user", lock->user},
          {"by_root", lock->by_root},
          {"reason", lock->reason},
          {"since", rfc3339(lock->at_ms)}};
}

}  // namespace teal
