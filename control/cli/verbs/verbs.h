// SPDX-License-Identifier: Apache-2.0
//
// The functions of the verbs in this folder. Each is in a file of its own.
#pragma once

#include "control/cli/invocation/verb.h"

namespace teal::cli {

Outcome run_list(const Invocation&);
Outcome run_status(const Invocation&);
Outcome run_health(const Invocation&);
Outcome run_verify(const Invocation&);
Outcome run_flows(const Invocation&);
Outcome run_stats(const Invocation&);
Outcome run_history(const Invocation&);
Outcome run_events(const Invocation&);
Outcome run_wait(const Invocation&);
Outcome run_backend_list(const Invocation&);
Outcome run_flip(const Invocation&);
Outcome run_rollback(const Invocation&);
Outcome run_ramp(const Invocation&);
Outcome run_next(const Invocation&);
Outcome run_abort(const Invocation&);
Outcome run_pause(const Invocation&);
Outcome run_resume(const Invocation&);
Outcome run_drain(const Invocation&);
Outcome run_backend_set(const Invocation&);
Outcome run_preview_set(const Invocation&);
Outcome run_preview_clear(const Invocation&);
Outcome run_reload(const Invocation&);
Outcome run_lock(const Invocation&);
Outcome run_unlock(const Invocation&);
Outcome run_check(const Invocation&);
Outcome run_version(const Invocation&);

}  // namespace teal::cli
