// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

WorkerFlows::WorkerFlows(Segment& segment, WorkerBlock& block, uint32_t worker, uint32_t workers)
    : table_(segment.flow_table()),
      ledger_(block),
      first_bucket_(table_.first_bucket(worker, workers)),
      end_bucket_(table_.first_bucket(worker + 1, workers)),
      slots_((end_bucket_ - first_bucket_) * FlowTable::kSlots),
      embryonic_quota_(slots_ / 4) {}

void WorkerFlows::end(FlowIndex flow, const FlowTable::Location& location) {
  ledger_.removed(table_.backend(flow), table_.state(flow), table_.birth_generation(flow));
  table_.remove(flow, location);
}

void WorkerFlows::end(FlowIndex index, const Flow& flow, const Rules& rules) {
  end(index, table_.locate({flow.client, flow.client_port, rules[flow.backend]}));
}

}  // namespace teal
