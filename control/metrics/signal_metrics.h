// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>

#include "control/change/executor.h"
#include "control/loop/coroutine.h"
#include "control/publish/publisher.h"

namespace teal {

// Writes what flows tell about their backends, and yields to the event loop in between: the outcomes of each
// backend that flows began on, and the times of each colour that has some.
Task<void> write_signals(std::ostream& out, const ChangeExecutor& executor, const Publisher& publisher);

}  // namespace teal
