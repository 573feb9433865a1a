// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/worker_flows.h"

#include <array>
#include <utility>
#include <vector>

namespace teal {

WorkerFlows::WorkerFlows(Segment& segment, WorkerBlock& block, uint32_t worker, uint32_t workers)
    : table_(segment.flow_table()),
      ledger_(block),
      first_bucket_(table_.first_bucket(worker, workers)),
      end_bucket_(table_.first_bucket(worker + 1, workers)),
      slots_((end_bucket_ - first_bucket_) * FlowTable::kSlots),
      embryonic_quota_(slots_ / 4),
      is_without_publication_(segment.header().counted_generation.load(std::memory_order_relaxed) == 0),
      header_(segment.flows()) {}

void WorkerFlows::adopt(const Rules& rules) {
  ledger_.adopt(rules);
  const bool was_without = std::exchange(is_without_publication_, rules.generation == 0);
  if (was_without && !is_without_publication_ && ledger_.flows() != 0) recount_older();
}

// The first publication after an upgrade may be of a flip of long ago, and there are flows that began since.
void WorkerFlows::recount_older() {
  std::vector<std::array<uint32_t, kColours>> older(kMaxBackends);
  for (uint64_t bucket = first_bucket_; bucket < end_bucket_; ++bucket)
    table_.for_each_in_bucket(bucket, [&](FlowIndex, const Flow& flow) {
      if (ledger_.is_older_than_flip(flow.backend, flow.state, flow.birth_generation))
        ++older[flow.backend][static_cast<size_t>(flow.state.colour())];
    });
  ledger_.set_older(older);
}

void WorkerFlows::end(FlowIndex flow, const FlowTable::Location& location) {
  ledger_.removed(table_.backend(flow), table_.state(flow), table_.birth_generation(flow));
  table_.remove(flow, location);
}

void WorkerFlows::end(FlowIndex index, const Flow& flow, const Rules& rules) {
  end(index, table_.locate({flow.client, flow.client_port, rules[flow.backend]}));
}

}  // namespace teal
