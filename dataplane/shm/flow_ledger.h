// SPDX-License-Identifier: Apache-2.0
//
// The exact number of a worker's flows per backend and colour. The worker reports each insert, removal and
// change of state of its flows here. A kill between a change of the table and the change of the ledger leaves
// a wrong number only until the next start, which counts the flows again.
#pragma once

#include "dataplane/shm/counters.h"
#include "dataplane/shm/flow_table.h"

namespace teal {

class FlowLedger {
 public:
  explicit FlowLedger(WorkerBlock& block) : block_(block) {}

  void added(uint16_t backend, const FlowState& state) { change(backend, state, 1); }
  void removed(uint16_t backend, const FlowState& state) { change(backend, state, -1); }
  void moved(uint16_t backend, const FlowState& before, const FlowState& after) {
    if (before.phase == after.phase && before.flags == after.flags) return;
    removed(backend, before);
    added(backend, after);
  }
  uint32_t embryonic() const { return block_.status.embryonic_flows.load(std::memory_order_relaxed); }

  void clear() {
    block_.status.embryonic_flows.store(0, std::memory_order_relaxed);
    for (auto& by_colour : block_.flows) {
      for (FlowCount& count : by_colour) {
        count.live.store(0, std::memory_order_relaxed);
        count.closing.store(0, std::memory_order_relaxed);
      }
    }
  }

 private:
  static void add(std::atomic<uint32_t>& value, int by) {
    value.store(value.load(std::memory_order_relaxed) + static_cast<uint32_t>(by), std::memory_order_relaxed);
  }
  void change(uint16_t backend, const FlowState& state, int by) {
    FlowCount& count = block_.flows[backend][static_cast<int>(state.colour())];
    add(is_closing(state.phase) ? count.closing : count.live, by);
    if (state.flags & kFlowUnassured) add(block_.status.embryonic_flows, by);
  }

  WorkerBlock& block_;
};

}  // namespace teal
