// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>

#include "control/change/executor.h"
#include "control/change/verbs.h"
#include "control/state/journal.h"
#include "control/state/recorder.h"

namespace teal {

// Writes the metrics of what teald keeps: the disk, the lock, the config file and the drift.
void write_state(std::ostream& out, const ChangeExecutor& executor, const Publisher& publisher,
                 const Recorder& recorder, const Journal& journal, Verbs& verbs);

}  // namespace teal
