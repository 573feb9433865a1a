// SPDX-License-Identifier: Apache-2.0
//
// One worker owns a flow, but the NIC may give the flow's packets to another worker. The receiving worker
// hands them over: each worker has one ring that all other workers put mbufs into. The owner classifies a
// packet again,
// under its own generation. If a ring is full, the packet is dropped and counted: a worker never waits for
// another one.
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

  // Gives each undecided packet whose flow another worker owns to that worker. Its verdict becomes kHandOver,
  // or a drop if the ring is full.
  void give_to_owners(Burst& burst, const FlowTable& table, uint32_t self);

  // Fills the burst with packets that other workers gave to this one.
  void take(Burst& burst, uint32_t self);

 private:
  struct RingFree {
    void operator()(rte_ring* ring) const;
  };
  std::vector<std::unique_ptr<rte_ring, RingFree>> rings_;  // by worker
};

}  // namespace teal
