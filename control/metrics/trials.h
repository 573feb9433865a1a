// SPDX-License-Identifier: Apache-2.0
//
// The outcomes that a judgement may count, summed over workers (TrialCounters in dataplane/shm/counters.h).
// All values only grow while a segment lives; a new segment begins at 0, and a dataplane that starts with
// fewer workers leaves the counts of the others out. A judgement takes the difference to the values at its
// beginning.
#pragma once

#include "control/publish/publisher.h"
#include "control/trial/trial_counts.h"

namespace teal {

inline TrialCounts counts_of(const TrialCounters& counters) {
  return {.begun = counters.begun.read(),
          .refused = counters.refused.read(),
          .unanswered = counters.unanswered.read(),
          .reset = counters.reset.read(),
          .no_reply = counters.no_reply.read(),
          .measured = counters.measured.read(),
          .slow = counters.slow.read()};
}

// All zero without a segment. `service` is an id.
inline TrialCells trials_of(const Publisher& publisher, uint16_t service, Colour colour) {
  TrialCells sums;
  publisher.for_each_block([&](const WorkerBlock& worker) {
    for (size_t cell = 0; cell < kClientCells; ++cell)
      sums[cell] += counts_of(worker.trials[service][static_cast<size_t>(colour)][cell]);
  });
  return sums;
}

}  // namespace teal
