// SPDX-License-Identifier: Apache-2.0
#include "dataplane/look_up.h"

namespace teal {
namespace {

[[gnu::always_inline]] inline void place(Burst& burst, uint32_t i, const FlowTable& table,
                                         Ownership ownership) {
  const FlowKey& key = burst.keys[i];
  const uint64_t hash = client_hash(key.client, key.client_port, table.hash_seed());
  burst.client_hashes[i] = hash;
  burst.places[i] = table.place_of(hash, key.service);
  table.prefetch_tags(burst.places[i]);
  if (ownership.workers != 1 && table.owner_of(hash, ownership.workers) != ownership.self)
    burst.verdicts[i] = Verdict::hand_over();
}

}  // namespace

// Three packets at a time, each at another step: what a step prefetches has kAhead packets' time to come.
void look_up(Burst& burst, const FlowTable& flows, Ownership ownership) {
  const FlowTable table = flows;  // a copy, which no store into the burst may change
  const uint32_t count = burst.count;
  for (uint32_t i = 0; i < count + 2 * kAhead; ++i) {
    if (i < count && burst.verdicts[i].is_undecided()) place(burst, i, table, ownership);
    if (const uint32_t second = i - kAhead; second < count && burst.verdicts[second].is_undecided())
      burst.flows[second] = table.guess(burst.places[second]);
    if (const uint32_t third = i - 2 * kAhead;
        third < count && burst.verdicts[third].is_undecided() && burst.flows[third] == kNoFlow)
      burst.flows[third] = table.guess_again(burst.places[third]);
  }
}

}  // namespace teal
