// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cstddef>
#include <string_view>

#include "dataplane/shm/segment.h"

#include <rte_rcu_qsbr.h>
#include <rte_version.h>

namespace teal {
namespace {

// FNV-1a over the bytes of the values.
class Hash {
 public:
  constexpr Hash& add(uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) value_ = (value_ ^ ((value >> (8 * byte)) & 0xff)) * 0x100000001b3;
    return *this;
  }
  constexpr Hash& add(std::string_view text) {
    for (char c : text) add(static_cast<uint8_t>(c));
    return add(text.size());
  }
  constexpr uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

constexpr uint64_t layout_hash() {
  Hash hash;
  // Raised by hand when the meaning of a field changes but not its offset or size.
  constexpr uint64_t kMeaning = 2;
  hash.add(kMeaning);
  hash.add(RTE_VER_YEAR).add(RTE_VER_MONTH).add(sizeof(rte_rcu_qsbr)).add(sizeof(rte_rcu_qsbr_cnt));

  hash.add(sizeof(SegmentHeader))
      .add(sizeof(PortRow))
      .add(sizeof(Ruleset))
      .add(sizeof(TrafficSplits))
      .add(sizeof(TrafficSplit));
  hash.add(sizeof(ServiceRule)).add(sizeof(BackendRule)).add(sizeof(MaglevTable)).add(sizeof(Timeouts));
  hash.add(sizeof(WorkerBlock))
      .add(sizeof(WorkerStatus))
      .add(sizeof(ServiceColourCounters))
      .add(sizeof(FlowCount))
      .add(sizeof(BackendSignals))
      .add(sizeof(TrialCounters))
      .add(sizeof(FailedClients))
      .add(sizeof(ServiceTimes));
  hash.add(sizeof(FlowTable::Bucket)).add(sizeof(FlowTable::Entry)).add(sizeof(Flow)).add(sizeof(FlowState));

  hash.add(offsetof(SegmentHeader, state)).add(offsetof(SegmentHeader, flow_capacity));
  hash.add(offsetof(SegmentHeader, geometry)).add(offsetof(SegmentHeader, hash_seed));
  hash.add(offsetof(SegmentHeader, tsc_hz)).add(offsetof(SegmentHeader, qsbr_offset));
  hash.add(offsetof(SegmentHeader, word)).add(offsetof(SegmentHeader, acknowledged));
  hash.add(offsetof(SegmentHeader, dataplane_epoch)).add(offsetof(SegmentHeader, worker_count));
  hash.add(offsetof(SegmentHeader, most_workers)).add(offsetof(SegmentHeader, counted_epoch));
  hash.add(offsetof(SegmentHeader, dataplane_pid)).add(offsetof(SegmentHeader, steering));
  hash.add(offsetof(SegmentHeader, ports)).add(offsetof(SegmentHeader, next_hops));
  hash.add(offsetof(SegmentHeader, on_link_prefix_bits)).add(offsetof(SegmentHeader, client_default_hops));
  hash.add(offsetof(SegmentHeader, last_hops)).add(offsetof(SegmentHeader, last_hop_origins));
  hash.add(offsetof(LastHopOrigin, router))
      .add(offsetof(LastHopOrigin, hop))
      .add(offsetof(LastHopOrigin, known))
      .add(offsetof(SegmentHeader, failed_clients));
  hash.add(offsetof(SegmentHeader, held_back)).add(offsetof(SegmentHeader, pool_mode));
  hash.add(offsetof(SegmentHeader, health_changes)).add(Hop::kDownBit).add(kDown);
  hash.add(offsetof(PortRow, interface)).add(offsetof(PortRow, ifindex)).add(offsetof(PortRow, mac));
  hash.add(offsetof(PortRow, side)).add(offsetof(PortRow, present)).add(offsetof(PortRow, driver));
  hash.add(offsetof(PortRow, queues)).add(offsetof(PortRow, spreads)).add(offsetof(PortRow, owned));
  hash.add(offsetof(PortRow, link)).add(offsetof(PortRow, speed_mbps)).add(offsetof(PortRow, counters));

  hash.add(offsetof(Ruleset, timeouts)).add(offsetof(Ruleset, reset_rate));
  hash.add(offsetof(Ruleset, services)).add(offsetof(Ruleset, backends));
  hash.add(offsetof(Ruleset, vips))
      .add(offsetof(Ruleset, addresses))
      .add(offsetof(Ruleset, sockets))
      .add(offsetof(Ruleset, maglev));
  hash.add(offsetof(ServiceRule, flags))
      .add(offsetof(ServiceRule, pools))
      .add(offsetof(ServiceRule, preview));
  hash.add(offsetof(ServiceRule, first_preview_clients)).add(offsetof(ServiceRule, preview_clients));
  hash.add(offsetof(Ruleset, preview_clients)).add(offsetof(PreviewClients, mask)).add(kPreviewAddress);
  hash.add(offsetof(BackendRule, from_vip))
      .add(offsetof(BackendRule, service))
      .add(offsetof(BackendRule, flags));
  hash.add(offsetof(TrafficSplit, previous))
      .add(offsetof(TrafficSplit, other_share))
      .add(offsetof(TrafficSplit, flip_generation));
  hash.add(offsetof(TrafficSplit, flipped_at_tick)).add(offsetof(TrafficSplit, drain_ticks));
  hash.add(offsetof(TrafficSplit, reset_before))
      .add(offsetof(TrafficSplit, counted_from))
      .add(offsetof(TrafficSplit, slow_us));

  hash.add(offsetof(WorkerStatus, adopted_at_tsc)).add(offsetof(WorkerStatus, state));
  hash.add(offsetof(WorkerStatus, thread_id)).add(offsetof(WorkerStatus, busy_tsc));
  hash.add(offsetof(WorkerStatus, embryonic_flows)).add(offsetof(WorkerStatus, last_insert_failure_tick));
  hash.add(offsetof(WorkerBlock, events)).add(offsetof(WorkerBlock, drops));
  hash.add(offsetof(WorkerBlock, services)).add(offsetof(WorkerBlock, flows));
  hash.add(offsetof(FlowCount, older)).add(offsetof(FlowCount, older_than));
  hash.add(offsetof(WorkerBlock, signals)).add(offsetof(WorkerBlock, times));
  hash.add(offsetof(WorkerBlock, trials)).add(offsetof(ServiceColourCounters, chosen_again));
  hash.add(offsetof(ServiceColourCounters, previewed));
  hash.add(offsetof(ServiceColourCounters, answered_when_idle));
  hash.add(offsetof(TrialCounters, unanswered)).add(offsetof(TrialCounters, reset));
  hash.add(offsetof(TrialCounters, no_reply)).add(offsetof(TrialCounters, slow)).add(kClientCells);
  for (std::string_view name : kEventNames) hash.add(name);
  for (std::string_view name : kDropReasonNames) hash.add(name);
  for (std::string_view name : kNicCounterNames) hash.add(name);

  hash.add(FlowTable::kSlots)
      .add(offsetof(FlowTable::Bucket, displaced))
      .add(offsetof(FlowTable::Bucket, inserts))
      .add(offsetof(FlowTable::Bucket, due))
      .add(offsetof(FlowTable::Bucket, young))
      .add(offsetof(FlowTable::Bucket, entries));
  hash.add(offsetof(Flow, client_port)).add(offsetof(Flow, backend)).add(offsetof(Flow, birth_generation));
  hash.add(offsetof(FlowState, flags)).add(kNoLastHop);
  hash.add(kFlowPhases)
      .add(kFlowGreen)
      .add(kFlowDisplaced)
      .add(kFlowMidstream)
      .add(kFlowUdp)
      .add(kFlowUnassured)
      .add(kFlowClientReset)
      .add(kFlowBackendReset)
      .add(kFlowUnanswered);
  hash.add(kOnDownReset);
  hash.add(kAffinityClient).add(kUdpCut).add(kBackendResetBlue).add(kBackendResetGreen).add(kBackendUdpCut);
  hash.add(kBackendTakesBlue).add(kBackendTakesGreen);

  hash.add(kWorkerSlots)
      .add(kMaxServices)
      .add(kMaxBackends)
      .add(kMaxPorts)
      .add(kMaxLastHops)
      .add(kPublishedLog)
      .add(kMaglevCapacity);
  hash.add(kRulesetSlots).add(kSplitSlots);
  hash.add(kTickNs).add(kShareOne).add(kNoId).add(PublicationWord{1, 2, 3}.pack());
  return hash.value();
}

}  // namespace

uint64_t segment_abi() {
  // Bit-fields have no offsetof, so a sample value shows their layout.
  const FlowState state{.tick = 1,
                        .last_hop = 2,
                        .hop_moves = 1,
                        .phase = FlowPhase::kResetting,
                        .judged = 0,
                        .sampled = 1,
                        .counted = 0,
                        .probes = 3,
                        .flags = 4};
  // A change of a hash function is a change of the ABI: kept flows are found by these hashes, and several
  // hosts must choose the same backend.
  Socket sample{.address = {}, .port = Be16::from_host(1), .protocol = kProtocolTcp};
  sample.address.bytes[15] = 1;
  const FlowTable table({64, 100}, nullptr, 1);
  const FlowTable::Location location = table.locate({sample.address, sample.port, 1});
  return Hash()
      .add(layout_hash())
      .add(std::bit_cast<uint64_t>(state))
      .add(location.hash)
      .add(choice_hash(location.hash, 1))
      .add(client_hash(sample.address, table.secret()))
      .add(socket_hash(sample))
      .add(decltype(Ruleset::vips)::word_of(sample.address, sample.port, sample.protocol))
      .add(location.first)
      .add(table.second(location))
      .add(location.tag())
      .value();
}

}  // namespace teal
