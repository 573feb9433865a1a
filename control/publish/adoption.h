// SPDX-License-Identifier: Apache-2.0
//
// Waits for workers without blocking the event loop.
#pragma once

#include <functional>
#include <string>

#include "control/loop/clock.h"
#include "control/publish/publisher.h"

namespace teal {

struct Watch {
  Adoption adoption;
  bool dataplane_running = false;
};

// Returns when every live worker has adopted the latest publication, or after two seconds. The publisher must
// be attached to a segment.
Task<Watch> watch_adoption(const Publisher& publisher, const Clock& clock);

// Repeats `attempt` until it succeeds, at most for two seconds: a slot becomes free after a grace period,
// which a stalled worker delays. Returns whether it succeeded.
Task<bool> with_a_free_slot(std::function<bool()> attempt, const Clock& clock);

// Describes the adoption, for the log and the history.
std::string adoption_text(const Adoption& adoption);

}  // namespace teal
