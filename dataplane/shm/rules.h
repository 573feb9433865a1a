// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/shm/ruleset.h"

namespace teal {

// The contents of one publication. A worker looks them up once per burst, so a whole burst is forwarded by
// one publication.
struct Rules {
  const Ruleset& ruleset;
  const TrafficSplits& splits;
  uint64_t generation;

  // Returns the id of a backend's service. FlowTable::find() uses it as `service_of`.
  uint16_t operator[](uint16_t backend) const { return ruleset.backends[backend].service; }
};

}  // namespace teal
