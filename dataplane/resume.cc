// SPDX-License-Identifier: Apache-2.0
#include "dataplane/resume.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "dataplane/shm/flow_ledger.h"
#include "dataplane/shm/rules.h"

namespace teal {
namespace {

// The latest publication, copied as a reader of RCU: once the reader is gone, teald may fill the slots again.
struct PublicationCopy {
  std::unique_ptr<Ruleset> ruleset;
  std::unique_ptr<TrafficSplits> splits;
  uint64_t generation;

  static PublicationCopy of(Segment& segment) {
    PublicationReader reader(segment, 0);
    const PublicationWord word = PublicationWord::unpack(reader.load());
    return {std::make_unique<Ruleset>(segment.ruleset(word.ruleset_slot)),
            std::make_unique<TrafficSplits>(segment.splits(word.split_slot)), word.generation};
  }
};

void free_unused_last_hops(FlowsHeader& flows, const std::vector<bool>& used) {
  flows.last_hops[kNoLastHop].store(Hop::kNone, std::memory_order_relaxed);  // a damaged segment
  const auto taken =
      std::count_if(std::begin(flows.last_hops), std::end(flows.last_hops),
                    [](const auto& word) { return word.load(std::memory_order_relaxed) != Hop::kNone; });
  if (taken < kMaxLastHops * 3 / 4) return;
  for (uint32_t i = 0; i < kMaxLastHops; ++i) {
    if (used[i]) continue;
    flows.last_hop_origins[i].known.store(0, std::memory_order_relaxed);
    flows.last_hops[i].store(Hop::kNone, std::memory_order_relaxed);
  }
}

uint32_t value(const std::atomic<uint32_t>& count) {
  return count.load(std::memory_order_relaxed);
}

// Calls visit(counted, shown) for each number of flows.
template <typename Visit>
void for_each_count(Segment& segment, std::vector<FlowNumbers>& counted, Visit&& visit) {
  for (uint32_t worker = 0; worker < kWorkerSlots; ++worker) {
    for (uint32_t id = 0; id < kMaxBackends; ++id) {
      for (uint32_t colour = 0; colour < kColours; ++colour)
        visit(counted[worker].flows[id][colour], segment.worker(worker).flows[id][colour]);
    }
  }
}

// Replaces the counts of the dataplane before by the counts of this start. Another worker may own a flow
// now, so this stores the greater number first and then the exact one: no sum of teald is 0 where there are
// flows.
void show(Segment& segment, std::vector<FlowNumbers>& counted) {
  for_each_count(segment, counted, [](const FlowCount& count, FlowCount& shown) {
    shown.live.store(std::max(value(count.live), value(shown.live)), std::memory_order_relaxed);
    shown.closing.store(std::max(value(count.closing), value(shown.closing)), std::memory_order_relaxed);
    shown.older.store(std::max(value(count.older), value(shown.older)), std::memory_order_relaxed);
  });
  for_each_count(segment, counted, [](const FlowCount& count, FlowCount& shown) {
    shown.live.store(value(count.live), std::memory_order_relaxed);
    shown.closing.store(value(count.closing), std::memory_order_relaxed);
    shown.older.store(value(count.older), std::memory_order_relaxed);
    shown.unassured.store(value(count.unassured), std::memory_order_relaxed);
    // Release: pairs with the acquire load in Publisher::draining().
    shown.older_than.store(value(count.older_than), std::memory_order_release);
  });
  for (uint32_t worker = 0; worker < kWorkerSlots; ++worker)
    segment.worker(worker).status.embryonic_flows.store(value(counted[worker].embryonic),
                                                        std::memory_order_relaxed);
}

}  // namespace

Resumed resume_flows(Segment& segment, uint32_t workers) {
  SegmentHeader& header = segment.header();
  FlowTable table = segment.flow_table();
  const PublicationCopy publication = PublicationCopy::of(segment);
  const Rules rules{*publication.ruleset, *publication.splits, publication.generation};

  std::vector<FlowNumbers> counted(kWorkerSlots);
  Resumed resumed;
  std::vector<bool> used_last_hops(kMaxLastHops);
  for (uint32_t worker = 0; worker < workers; ++worker) {
    FlowLedger ledger(counted[worker]);
    ledger.adopt(rules);
    const uint64_t end = table.first_bucket(worker + 1, workers);
    for (uint64_t bucket = table.first_bucket(worker, workers); bucket < end; ++bucket) {
      table.for_each_in_bucket(bucket, [&](FlowIndex index, const Flow& flow) {
        // Without a publication, the ruleset has the known ids.
        if (flow.backend >= kMaxBackends ||
            (rules.ruleset.backends[flow.backend].flags & kBackendPresent) == 0) {
          // The location need not be exact: `displaced` is counted again below.
          table.remove(index, {.first = bucket, .hash = 0});
          ++resumed.removed;
          return;
        }
        ledger.recounted(flow.backend, flow.state, flow.birth_generation);
        used_last_hops[flow.state.last_hop] = true;
        ++resumed.flows;
      });
    }
  }
  table.recount_displaced(rules);
  // Before the counts: teald sums the blocks of so many workers.
  header.most_workers.store(std::max(workers, header.most_workers.load(std::memory_order_relaxed)),
                            std::memory_order_release);
  show(segment, counted);
  header.counted_generation.store(rules.generation, std::memory_order_relaxed);
  free_unused_last_hops(segment.flows(), used_last_hops);
  // Release: a teald that sees it sees the counts. They are exact once the dataplane has its next epoch.
  header.counted_epoch.store(header.dataplane_epoch.load(std::memory_order_relaxed) + 1,
                             std::memory_order_release);
  return resumed;
}

}  // namespace teal
