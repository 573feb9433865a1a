// SPDX-License-Identifier: Apache-2.0
//
// The lock that makes Teal refuse every change of an operator.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "control/change/change.h"

namespace teal {

// Refused if changes are locked already.
tl::expected<Change, Refusal> plan_lock(ChangeLock wanted, const std::optional<ChangeLock>& present);
// Where the disk is known to be bad, an unlock goes ahead and is recorded when the disk works again: a lock
// must not keep a rollback away. A teald that starts before then finds the unlock in the copy in the run
// directory.
Change plan_unlock(const std::optional<ChangeLock>& present);

// "alice (as root) locked all changes at 2026-11-23T05:30:00.123Z: audit"
std::string lock_text(const ChangeLock& lock);
Refusal locked(const ChangeLock& lock);                                   // of each change
nlohmann::ordered_json lock_json(const std::optional<ChangeLock>& lock);  // null: changes are not locked

}  // namespace teal
