// SPDX-License-Identifier: Apache-2.0
#include "dataplane/resume.h"

#include <algorithm>
#include <vector>

#include "dataplane/shm/flow_ledger.h"
#include "dataplane/shm/rules.h"

namespace teal {
namespace {

void free_unused_last_hops(SegmentHeader& header, const std::vector<bool>& used) {
  const auto taken =
      std::count_if(std::begin(header.last_hops), std::end(header.last_hops),
                    [](const auto& word) { return word.load(std::memory_order_relaxed) != Hop::kNone; });
  if (taken < kMaxLastHops * 3 / 4) return;
  for (uint32_t i = 0; i < kMaxLastHops; ++i) {
    if (!used[i]) header.last_hops[i].store(Hop::kNone, std::memory_order_relaxed);
  }
}

}  // namespace

Resumed resume_flows(Segment& segment, uint32_t workers) {
  SegmentHeader& header = segment.header();
  FlowTable table = segment.flow_table();
  const PublicationWord word = PublicationWord::unpack(header.word.load(std::memory_order_acquire));
  const Rules rules{segment.ruleset(word.ruleset_slot), segment.splits(word.split_slot), word.generation};

  std::vector<FlowLedger> ledgers;
  for (uint32_t worker = 0; worker < kWorkerSlots; ++worker) {
    ledgers.emplace_back(segment.worker(worker));
    ledgers.back().clear();
    if (worker < workers) ledgers.back().adopt(rules);
  }
  Resumed resumed;
  std::vector<bool> used_last_hops(kMaxLastHops);
  for (uint32_t worker = 0; worker < workers; ++worker) {
    const uint64_t end = table.first_bucket(worker + 1, workers);
    for (uint64_t bucket = table.first_bucket(worker, workers); bucket < end; ++bucket) {
      table.for_each_in_bucket(bucket, [&](FlowIndex index, const Flow& flow) {
        if (flow.backend >= kMaxBackends ||
            (rules.ruleset.backends[flow.backend].flags & kBackendPresent) == 0) {
          // The location need not be exact: `displaced` is counted again below.
          table.remove(index, {.first = bucket, .hash = 0});
          ++resumed.removed;
          return;
        }
        ledgers[worker].recounted(flow.backend, flow.state, flow.birth_generation);
        if (flow.state.last_hop < kMaxLastHops) used_last_hops[flow.state.last_hop] = true;
        ++resumed.flows;
      });
    }
  }
  table.recount_displaced(rules);
  free_unused_last_hops(header, used_last_hops);
  return resumed;
}

}  // namespace teal
