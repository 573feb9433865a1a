// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/shm/counters.h"

namespace teal {

// The traffic of a service's colour, summed over workers.
struct Traffic {
  uint64_t new_flows = 0;
  uint64_t packets[2] = {}, bytes[2] = {};  // by Direction

  void add(const ServiceColourCounters& counters) {
    new_flows += counters.new_flows.read();
    for (size_t direction = 0; direction < 2; ++direction) {
      packets[direction] += counters.packets[direction].read();
      bytes[direction] += counters.bytes[direction].read();
    }
  }
};

}  // namespace teal
