// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/burst.h"

namespace teal {

// Whose partitions are this worker's (FlowTable::owner_of()).
struct Ownership {
  uint32_t self = 0;
  uint32_t workers = 1;
};

// Fills client hash, place and the table's guess of each undecided packet, its entry prefetched. What another
// worker owns is decided: it is handed over.
void look_up(Burst& burst, const FlowTable& table, Ownership ownership);

}  // namespace teal
