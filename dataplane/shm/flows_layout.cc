// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cstddef>

#include "dataplane/shm/flows.h"
#include "dataplane/shm/layout_hash.h"

namespace teal {
namespace {

void add_structures(LayoutHash& hash) {
  hash.add(sizeof(FlowsHeader))
      .add(offsetof(FlowsHeader, version))
      .add(offsetof(FlowsHeader, bytes))
      .add(offsetof(FlowsHeader, buckets_offset))
      .add(offsetof(FlowsHeader, flow_capacity))
      .add(offsetof(FlowsHeader, geometry))
      .add(offsetof(FlowsHeader, hash_seed))
      .add(offsetof(FlowsHeader, port_names))
      .add(offsetof(FlowsHeader, ids))
      .add(offsetof(FlowsHeader, generation))
      .add(offsetof(FlowsHeader, last_hops))
      .add(offsetof(FlowsHeader, last_hop_origins))
      .add(offsetof(FlowsHeader, last_insert_failure_tick));
  hash.add(sizeof(KnownIds))
      .add(sizeof(KnownService))
      .add(sizeof(KnownBackend))
      .add(offsetof(KnownIds, services))
      .add(offsetof(KnownIds, backends))
      .add(offsetof(KnownService, preview))
      .add(offsetof(KnownBackend, service))
      .add(offsetof(KnownBackend, known))
      .add(offsetof(Timeouts, tcp_established))
      .add(offsetof(Timeouts, tcp_half_closed))
      .add(offsetof(Timeouts, tcp_closed))
      .add(offsetof(Timeouts, udp_established));
  hash.add(sizeof(LastHopOrigin))
      .add(offsetof(LastHopOrigin, router))
      .add(offsetof(LastHopOrigin, hop))
      .add(offsetof(LastHopOrigin, known));
  hash.add(sizeof(FlowTable::Bucket))
      .add(sizeof(FlowTable::Entry))
      .add(offsetof(FlowTable::Bucket, displaced))
      .add(offsetof(FlowTable::Bucket, inserts))
      .add(offsetof(FlowTable::Bucket, due))
      .add(offsetof(FlowTable::Bucket, young))
      .add(offsetof(FlowTable::Bucket, entries))
      .add(FlowTable::kSlots);
  hash.add(sizeof(Flow))
      .add(offsetof(Flow, client_port))
      .add(offsetof(Flow, backend))
      .add(offsetof(Flow, birth_generation));
}

void add_constants(LayoutHash& hash) {
  hash.add(kMaxPorts).add(kMaxServices).add(kMaxBackends).add(kMaxLastHops).add(kNoLastHop).add(kTickNs);
  hash.add(kFlowGreen)
      .add(kFlowDisplaced)
      .add(kFlowMidstream)
      .add(kFlowUdp)
      .add(kFlowUnassured)
      .add(kFlowClientReset)
      .add(kFlowBackendReset)
      .add(kFlowUnanswered)
      .add(kSynPasses)
      .add(kFlowPhases);
}

// Bit-fields have no offsetof, and functions have no size: sample values show them.
void add_samples(LayoutHash& hash) {
  const FlowState state{.tick = 1,
                        .last_hop = 2,
                        .hop_moves = 1,
                        .preview = 0,
                        .phase = FlowPhase::kResetting,
                        .judged = 0,
                        .sampled = 1,
                        .counted = 0,
                        .probes = 3,
                        .flags = 4};
  IpAddress address{};
  address.bytes[15] = 1;
  const FlowTable table({64, 100}, nullptr, 1);
  const FlowTable::Location location = table.locate({address, Be16::from_host(1), 1});
  hash.add(std::bit_cast<uint64_t>(state))
      .add(Hop{.port = 3, .mac = {}}.word())
      .add(location.hash)
      .add(location.first)
      .add(table.second(location))
      .add(location.tag());
}

}  // namespace

uint64_t flows_layout() {
  LayoutHash hash(kFlowsVersion);
  add_structures(hash);
  add_constants(hash);
  add_samples(hash);
  return hash.value();
}

}  // namespace teal
