// SPDX-License-Identifier: Apache-2.0
#include "dataplane/handover.h"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

namespace teal {

void Handover::RingFree::operator()(rte_ring* ring) const {
  rte_ring_free(ring);
}

tl::expected<Handover, std::string> Handover::create(uint32_t workers) {
  Handover handover;
  for (uint32_t i = 0; i < workers; ++i) {
    const std::string name = fmt::format("handover_{}", i);
    rte_ring* ring =
        rte_ring_create(name.c_str(), kRingEntries, static_cast<int>(rte_socket_id()), RING_F_SC_DEQ);
    if (ring == nullptr)
      return tl::unexpected(fmt::format("cannot create ring {} of {} entries: {}", name, kRingEntries,
                                        rte_strerror(rte_errno)));
    handover.rings_.emplace_back(ring);
  }
  return handover;
}

void Handover::give_to_owners(Burst& burst, const FlowTable& table, uint32_t self) {
  if (workers() == 1) return;
  for (Packet& packet : burst.all()) {
    if (!packet.verdict.is_undecided()) continue;
    const uint32_t owner = table.owner_of(packet.location.hash, workers());
    if (owner == self) continue;
    const bool given = rte_ring_mp_enqueue(rings_[owner].get(), packet.mbuf) == 0;
    packet.verdict = given ? Verdict::hand_over() : Verdict::drop(DropReason::k_handover_full);
  }
}

void Handover::take(Burst& burst, uint32_t self) {
  burst.count = rte_ring_sc_dequeue_burst(rings_[self].get(), reinterpret_cast<void**>(burst.mbufs),
                                          Burst::kCapacity, nullptr);
}

}  // namespace teal
