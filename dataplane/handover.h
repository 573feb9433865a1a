// SPDX-License-Identifier: Apache-2.0
//
// Packets that the NIC gave to another worker than the one that owns their flow. Each worker has one ring
// that all others put into; the mbuf crosses it as it came in, and its owner looks at it anew. A full ring
// drops, counted, and never waits.
#pragma once

#include <memory>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/pipeline/burst.h"

struct rte_ring;

namespace teal {

class Handover {
 public:
  static constexpr uint32_t kRingEntries = 2048;  // a power of 2

  static tl::expected<Handover, std::string> create(uint32_t workers);

  uint32_t workers() const { return static_cast<uint32_t>(rings_.size()); }

  // Gives the undecided packets whose flow is another worker's to that one: their verdict is kHandOver, or
  // where the ring is full a drop.
  void give_to_owners(Burst& burst, const FlowTable& table, uint32_t self);

  // Fills the burst with packets that other workers gave.
  void take(Burst& burst, uint32_t self);

 private:
  struct RingFree {
    void operator()(rte_ring* ring) const;
  };
  std::vector<std::unique_ptr<rte_ring, RingFree>> rings_;  // by worker
};

}  // namespace teal
