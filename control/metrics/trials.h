// SPDX-License-Identifier: Apache-2.0
//
// The outcomes that a judgement may count, summed over workers (TrialCounters in dataplane/shm/counters.h).
// All values only grow while a segment lives. A new segment begins at 0, and a dataplane that starts with
// fewer workers leaves the counts of the others out. A judgement takes the difference to the values at its
// beginning.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "control/publish/publisher.h"
#include "dataplane/shm/counters.h"

namespace teal {

// Flows of one cell of clients, of one service and colour. TrialCounters says what each field counts.
struct TrialCounts {
  uint64_t begun = 0, refused = 0, unanswered = 0, reset = 0, no_reply = 0, measured = 0, slow = 0;

  void add(const TrialCounters& counters) {
    begun += counters.begun.read();
    refused += counters.refused.read();
    unanswered += counters.unanswered.read();
    reset += counters.reset.read();
    no_reply += counters.no_reply.read();
    measured += counters.measured.read();
    slow += counters.slow.read();
  }
  friend bool operator==(const TrialCounts&, const TrialCounts&) = default;
};
using TrialCells = std::array<TrialCounts, kClientCells>;

// All zero without a segment. `service` is an id.
inline TrialCells trials_of(const Publisher& publisher, uint16_t service, Colour colour) {
  TrialCells sums;
  publisher.for_each_worker([&](uint32_t, const WorkerBlock& worker) {
    for (size_t cell = 0; cell < kClientCells; ++cell)
      sums[cell].add(worker.trials[service][static_cast<size_t>(colour)][cell]);
  });
  return sums;
}

}  // namespace teal
