// SPDX-License-Identifier: Apache-2.0
//
// The table of known ids says which sockets the ids in flows stand for. A ruleset says it, too, but the
// layout of a ruleset may change with a release, and the layout of these rows may not.
//
// teald writes a row before it publishes the ruleset that has the id. An id keeps its meaning while a flow
// names it, so no flow ever sees a row change.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/shm/ruleset.h"

namespace teal {

struct KnownService {
  Socket vip;
  Socket preview;  // protocol 0: none
};

struct KnownBackend {
  Socket socket;
  uint16_t service;            // id
  std::atomic<uint8_t> known;  // 1: the row is written. Stored last, with release
};

// Zeroed memory knows no id.
struct KnownIds {
  Timeouts timeouts;                    // control: rw, dataplane: ro; of the latest ruleset
  KnownService services[kMaxServices];  // control: rw, dataplane: ro; by service id
  KnownBackend backends[kMaxBackends];  // control: rw, dataplane: ro; by backend id
};

// Writes the rows of a ruleset's ids, and forgets the others: no flow has an id that a ruleset lacks.
void note_ids(const Ruleset& ruleset, KnownIds& ids);

// Fills a zeroed ruleset with all known backends and their services. Packets of existing flows find their way
// by it, and no flow begins: its pools are empty.
void rules_of_known_ids(const KnownIds& ids, Ruleset& ruleset);

}  // namespace teal
