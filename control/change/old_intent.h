// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/state/change_record.h"
#include "control/state/inventory.h"
#include "control/state/state.h"

namespace teal {

// Returns the record of an intent that a teald with schema 2 or older left open. It had no record, so the
// values come from the changes that the history shows: [{"service","timeout_seconds","then"}] of a drain and
// [{"service","colour","address","state":{"to"},"weight":{"to"}}] of a backend. Values that are not as
// expected are left out. (From 0.1; to be removed with the migration from schema 2.)
ChangeRecord record_of_old_intent(const OpenIntent& intent, const Inventory& inventory);

}  // namespace teal
