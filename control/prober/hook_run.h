// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/health/health_messages.h"
#include "control/loop/clock.h"
#include "control/loop/coroutine.h"
#include "control/loop/semaphore.h"

namespace teal {

// At most this number of hooks run at once. They have places of their own: a hook that hangs delays no check.
inline constexpr uint32_t kMaxRunningHooks = 16;

// Waits for a place, and runs the command of a hook to its end, unless its time to begin is over then.
Task<HookDone> run_hook(const HookOrder& order, Semaphore& places, const Clock& clock);

}  // namespace teal
