// SPDX-License-Identifier: Apache-2.0
//
// Waiting for workers, without blocking the event loop.
#pragma once

#include <functional>

#include "control/loop/coroutine.h"
#include "control/publish/publisher.h"

namespace teal {

struct Watch {
  Adoption adoption;
  bool dataplane_running = false;
};

// Until every live worker has adopted the latest publication, at most two seconds. There is a segment.
Task<Watch> watch_adoption(const Publisher& publisher);

// Until `attempt` succeeds, at most two seconds: slots wait for a grace period, which a stalled worker
// delays.
Task<bool> with_a_free_slot(std::function<bool()> attempt);

}  // namespace teal
