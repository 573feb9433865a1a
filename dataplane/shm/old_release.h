// SPDX-License-Identifier: Apache-2.0
//
// The segment of the release before the flows had a file of their own. A start takes over its flows, and all
// that they refer to. tests/upgrade has such a segment.
//
// The layout of that release never changes again, so this room has numbers of its own, and none that follow
// from the present structures.
#pragma once

#include <memory>
#include <optional>

#include "dataplane/shm/flow_state.h"
#include "dataplane/shm/flows.h"

namespace teal {

struct OldRelease {
  std::unique_ptr<FlowsHeader> header;  // as the present release would have it
  FlowTable table;                      // in the file
};

// Returns the flows of a finished segment of that release; nothing for any other file. The file must stay
// open meanwhile. Ticks of that release have 32 bits: `now_tick` completes the tick of the latest failed
// insert.
std::optional<OldRelease> read_old_release(const SegmentFile& file, uint64_t now_tick);

// Returns what a state of that release means now.
FlowState from_old_release(FlowState state);

}  // namespace teal
