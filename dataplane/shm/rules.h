// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/shm/ruleset.h"

namespace teal {

// What one publication says. A worker reads it once per burst, so that a burst is forwarded by one
// publication.
struct Rules {
  const Ruleset& ruleset;
  const TrafficSplits& splits;
  uint64_t generation;

  // The service of a backend id, as FlowTable::find() asks for it.
  uint16_t operator[](uint16_t backend) const { return ruleset.backends[backend].service; }
};

}  // namespace teal
