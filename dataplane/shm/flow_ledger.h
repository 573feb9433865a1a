// SPDX-License-Identifier: Apache-2.0
//
// The exact number of a worker's flows per backend and colour, and per service. The worker reports each
// insert, removal and change of state of its flows here. A kill between a change of the table and the change
// of the ledger leaves a wrong number only until the next start, which counts the flows again.
//
// FlowCount::older has the flows that a drain waits for. When a worker adopts a flip, all of its live flows
// are older than the flip. A flow that begins later is younger, unless it is midstream and gets an older
// birth generation. So only adopt(), midstream flows and the ends of flows look at generations.
//
// The numbers of a service are sums of those of its backends. adopt() sums, as ids may belong to other
// services from then on.
#pragma once

#include <array>
#include <vector>

#include "dataplane/shm/counters.h"
#include "dataplane/shm/flow_table.h"
#include "dataplane/shm/rules.h"

namespace teal {

// The numbers of a ledger apart from a worker's block: a start counts in them.
struct FlowNumbers {
  FlowCount flows[kMaxBackends][kColours] = {};  // by backend id
  std::atomic<uint32_t> embryonic = 0;
};

class FlowLedger {
 public:
  explicit FlowLedger(WorkerBlock& block) : flows_(block.flows), embryonic_(block.status.embryonic_flows) {}
  explicit FlowLedger(FlowNumbers& numbers) : flows_(numbers.flows), embryonic_(numbers.embryonic) {}

  // The worker adopts a publication, and no flow has begun under it.
  void adopt(const Rules& rules) {
    services_ = {};
    all_flows_ = 0;
    for (uint32_t id = 0; id < kMaxBackends; ++id) {
      const BackendRule& backend = rules.ruleset.backends[id];
      const bool is_present = (backend.flags & kBackendPresent) != 0;
      if (is_present) service_of_[id] = backend.service;
      add_to_service(id);  // flows of an id that left the rules still end
      if (!is_present) continue;
      const uint32_t flip = rules.splits.services[backend.service].flip_generation;
      for (FlowCount& count : flows_[id]) {
        if (count.older_than.load(std::memory_order_relaxed) == flip) continue;
        count.older.store(count.live.load(std::memory_order_relaxed), std::memory_order_relaxed);
        // Release: pairs with the acquire load in Publisher::draining().
        count.older_than.store(flip, std::memory_order_release);
      }
    }
  }

  // The flow has just begun.
  void added(uint16_t backend, const FlowState& state, uint32_t birth_generation) {
    change(backend, state, 1);
    if (state.flags & kFlowMidstream) change_older(backend, state, birth_generation, 1);
  }
  void removed(uint16_t backend, const FlowState& state, uint32_t birth_generation) {
    change(backend, state, -1);
    change_older(backend, state, birth_generation, -1);
  }
  void moved(uint16_t backend, const FlowState& before, const FlowState& after, uint32_t birth_generation) {
    if (before.phase == after.phase && before.flags == after.flags) return;
    removed(backend, before, birth_generation);
    recounted(backend, after, birth_generation);
  }
  // The flow may have begun at any time.
  void recounted(uint16_t backend, const FlowState& state, uint32_t birth_generation) {
    change(backend, state, 1);
    change_older(backend, state, birth_generation, 1);
  }
  bool is_older_than_flip(uint16_t backend, const FlowState& state, uint32_t birth_generation) {
    return !is_closing(state.phase) &&
           is_older_flow(birth_generation,
                         count_of(backend, state).older_than.load(std::memory_order_relaxed));
  }
  // Replaces the numbers of older flows. They were counted apart, so no number is too low for a moment.
  void set_older(const std::vector<std::array<uint32_t, kColours>>& by_backend) {
    for (uint32_t id = 0; id < kMaxBackends; ++id)
      for (uint32_t colour = 0; colour < kColours; ++colour)
        flows_[id][colour].older.store(by_backend[id][colour], std::memory_order_relaxed);
  }
  uint32_t embryonic() const { return embryonic_.load(std::memory_order_relaxed); }
  uint32_t flows() const { return all_flows_; }
  // Of a service of the adopted rules.
  uint32_t flows_of(uint16_t service) const { return services_[service].flows; }
  uint32_t unassured_of(uint16_t service) const { return services_[service].unassured; }

 private:
  struct ServiceFlows {
    uint32_t flows = 0;
    uint32_t unassured = 0;
  };
  void add_to_service(uint32_t backend) {
    ServiceFlows& service = services_[service_of_[backend]];
    for (const FlowCount& count : flows_[backend]) {
      const uint32_t flows =
          count.live.load(std::memory_order_relaxed) + count.closing.load(std::memory_order_relaxed);
      service.flows += flows;
      all_flows_ += flows;
      service.unassured += count.unassured.load(std::memory_order_relaxed);
    }
  }
  static void add(std::atomic<uint32_t>& value, int by) {
    value.store(value.load(std::memory_order_relaxed) + static_cast<uint32_t>(by), std::memory_order_relaxed);
  }
  void change(uint16_t backend, const FlowState& state, int by) {
    FlowCount& count = count_of(backend, state);
    ServiceFlows& service = services_[service_of_[backend]];
    add(is_closing(state.phase) ? count.closing : count.live, by);
    service.flows += static_cast<uint32_t>(by);
    all_flows_ += static_cast<uint32_t>(by);
    if ((state.flags & kFlowUnassured) == 0) return;
    add(count.unassured, by);
    add(embryonic_, by);
    service.unassured += static_cast<uint32_t>(by);
  }
  void change_older(uint16_t backend, const FlowState& state, uint32_t birth_generation, int by) {
    if (is_older_than_flip(backend, state, birth_generation)) add(count_of(backend, state).older, by);
  }
  FlowCount& count_of(uint16_t backend, const FlowState& state) {
    return flows_[backend][static_cast<int>(state.colour())];
  }

  FlowCount (&flows_)[kMaxBackends][kColours];
  std::atomic<uint32_t>& embryonic_;
  std::array<uint16_t, kMaxBackends> service_of_{};  // by backend id; as adopted
  std::array<ServiceFlows, kMaxServices> services_{};
  uint32_t all_flows_ = 0;
};

}  // namespace teal
