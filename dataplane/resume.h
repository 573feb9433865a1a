// SPDX-License-Identifier: Apache-2.0
//
// A dataplane that starts on an existing segment keeps the flows of the one before, with any number of
// workers.
#pragma once

#include <cstdint>

#include "dataplane/shm/segment.h"

namespace teal {

struct Resumed {
  uint64_t flows = 0;    // kept
  uint64_t removed = 0;  // their backend is not in the ruleset
};

// Prepares the flow table of a segment, before any worker runs. A kill may have left counts wrong, so all are
// counted again: each flow for the worker that owns it now, and each bucket's `displaced`. Then raises
// SegmentHeader::counted_epoch. Removes flows whose backend the published ruleset does not know. Frees last
// hops that no flow names if three quarters of their table are taken.
Resumed resume_flows(Segment& segment, uint32_t workers);

}  // namespace teal
