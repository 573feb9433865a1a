// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/shm/counters.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

// The traffic of a service's colour, summed over workers.
struct Traffic {
  uint64_t new_flows = 0;
  uint64_t previewed = 0;                   // of these, by a preview
  uint64_t packets[2] = {}, bytes[2] = {};  // by Direction

  void add(const WorkerBlock& worker, uint16_t service, Colour colour) {
    const auto of_colour = static_cast<size_t>(colour);
    const ServiceColourCounters& counters = worker.services[service][of_colour];
    previewed += counters.previewed.read();
    new_flows += counters.midstream.read() + counters.chosen_again.read() + counters.previewed.read();
    for (const TrialCounters& cell : worker.trials[service][of_colour]) new_flows += cell.begun.read();
    for (size_t direction = 0; direction < 2; ++direction) {
      packets[direction] += counters.packets[direction].read();
      bytes[direction] += counters.bytes[direction].read();
    }
  }
};

}  // namespace teal
