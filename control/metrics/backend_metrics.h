// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>

#include "control/change/executor.h"
#include "control/health/health_board.h"
#include "control/health/health_upkeep.h"
#include "control/loop/coroutine.h"
#include "control/publish/publisher.h"

namespace teal {

// Writes the metrics of each backend, and yields to the event loop in between.
Task<void> write_backends(std::ostream& out, const ChangeExecutor& executor, const Publisher& publisher,
                          const HealthBoard& health);
// Writes the mode of each pool, in the same way.
Task<void> write_pool_modes(std::ostream& out, const ChangeExecutor& executor, const HealthUpkeep& upkeep);
// Writes whether teal-health reports.
void write_prober(std::ostream& out, const HealthBoard& health);

}  // namespace teal
