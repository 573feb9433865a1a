// SPDX-License-Identifier: Apache-2.0
//
// The ids of a reload between its intent and its result. The intent leaves the services and backends in force
// as they are, because the reload may never be published. It only reserves the ids that the reload gives. If
// teald is killed after the publication, the next start takes the rest from the published ruleset.
#pragma once

#include "control/state/inventory.h"

namespace teal {

// Returns `present` with the services and backends of `planned` that have new ids. They are retired, so
// nothing else gets their ids, and a start without the reload releases them.
Inventory with_reserved_ids(const Inventory& present, const Inventory& planned);

// Brings the inventory in line with the ruleset of a reload whose ids were reserved. Names and what commands
// have set stay. A backend that is retired has the file's values if it comes back.
void take_ids_from(const Ruleset& ruleset, Inventory& inventory);

}  // namespace teal
