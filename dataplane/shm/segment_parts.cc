// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/segment_parts.h"

#include <cstddef>
#include <cstring>
#include <string_view>

#include "dataplane/shm/layout_hash.h"
#include "dataplane/shm/segment.h"

#include <rte_rcu_qsbr.h>
#include <rte_version.h>

namespace teal {
namespace {

// Each has a number that is raised by hand when the meaning of a field changes but not its offset or size.

constexpr uint64_t publication_version() {
  constexpr uint64_t kMeaning = 1;
  constexpr uint64_t kFirst = offsetof(SegmentHeader, word);
  return LayoutHash(kMeaning)
      .add(offsetof(SegmentHeader, acknowledged) - kFirst)
      .add(offsetof(SegmentHeader, published) - kFirst)
      .add(kPublishedLog)
      .add(kRulesetSlots)
      .add(kSplitSlots)
      .add(PublicationWord{1, 2, 3}.pack())
      .value();
}

constexpr uint64_t hops_version() {
  constexpr uint64_t kMeaning = 1;
  constexpr uint64_t kFirst = offsetof(SegmentHeader, next_hops);
  return LayoutHash(kMeaning)
      .add(offsetof(SegmentHeader, on_link_prefix_bits) - kFirst)
      .add(offsetof(SegmentHeader, held_back) - kFirst)
      .add(offsetof(SegmentHeader, pool_mode) - kFirst)
      .add(offsetof(SegmentHeader, health_changes) - kFirst)
      .add(offsetof(SegmentHeader, client_default_hops) - kFirst)
      .add(kMaxBackends)
      .add(kMaxServices)
      .add(Hop::kDownBit)
      .add(kDown)
      .value();
}

constexpr uint64_t rulesets_version() {
  constexpr uint64_t kMeaning = 1;
  return LayoutHash(kMeaning)
      .add(sizeof(Ruleset))
      .add(sizeof(ServiceRule))
      .add(sizeof(BackendRule))
      .add(sizeof(MaglevTable))
      .add(sizeof(Timeouts))
      .add(offsetof(Ruleset, timeouts))
      .add(offsetof(Ruleset, reset_rate))
      .add(offsetof(Ruleset, services))
      .add(offsetof(Ruleset, backends))
      .add(offsetof(Ruleset, vips))
      .add(offsetof(Ruleset, addresses))
      .add(offsetof(Ruleset, sockets))
      .add(offsetof(Ruleset, preview_clients))
      .add(offsetof(Ruleset, maglev))
      .add(offsetof(ServiceRule, preview))
      .add(offsetof(ServiceRule, flags))
      .add(offsetof(ServiceRule, pools))
      .add(offsetof(ServiceRule, first_preview_clients))
      .add(offsetof(ServiceRule, preview_clients))
      .add(offsetof(PreviewClients, mask))
      .add(offsetof(BackendRule, from_vip))
      .add(offsetof(BackendRule, service))
      .add(offsetof(BackendRule, flags))
      .add(kAffinityClient)
      .add(kUdpCut)
      .add(kOnDownReset)
      .add(kBackendResetBlue)
      .add(kBackendResetGreen)
      .add(kBackendUdpCut)
      .add(kBackendTakesBlue)
      .add(kBackendTakesGreen)
      .add(kPreviewAddress)
      .add(kMaxServices)
      .add(kMaxBackends)
      .add(kMaglevCapacity)
      .add(kRulesetSlots)
      .add(kTickNs)
      .add(kNoId)
      .value();
}

constexpr uint64_t targets_version() {
  constexpr uint64_t kMeaning = 1;
  return LayoutHash(kMeaning)
      .add(sizeof(TrafficSplits))
      .add(sizeof(TrafficSplit))
      .add(offsetof(TrafficSplit, previous))
      .add(offsetof(TrafficSplit, other_share))
      .add(offsetof(TrafficSplit, flip_generation))
      .add(offsetof(TrafficSplit, flipped_at_tick))
      .add(offsetof(TrafficSplit, drain_ticks))
      .add(offsetof(TrafficSplit, reset_before))
      .add(offsetof(TrafficSplit, counted_from))
      .add(offsetof(TrafficSplit, slow_us))
      .add(kSplitSlots)
      .add(kShareOne)
      .value();
}

constexpr uint64_t counters_version() {
  constexpr uint64_t kMeaning = 1;
  LayoutHash hash(kMeaning);
  hash.add(sizeof(WorkerBlock))
      .add(sizeof(WorkerStatus))
      .add(sizeof(ServiceColourCounters))
      .add(sizeof(FlowCount))
      .add(sizeof(BackendSignals))
      .add(sizeof(TrialCounters))
      .add(sizeof(ServiceTimes))
      .add(offsetof(WorkerStatus, adopted_at_tsc))
      .add(offsetof(WorkerStatus, state))
      .add(offsetof(WorkerStatus, thread_id))
      .add(offsetof(WorkerStatus, busy_tsc))
      .add(offsetof(WorkerStatus, embryonic_flows))
      .add(offsetof(WorkerBlock, events))
      .add(offsetof(WorkerBlock, drops))
      .add(offsetof(WorkerBlock, services))
      .add(offsetof(WorkerBlock, flows))
      .add(offsetof(WorkerBlock, signals))
      .add(offsetof(WorkerBlock, stateless_answers))
      .add(offsetof(WorkerBlock, times))
      .add(offsetof(WorkerBlock, trials))
      .add(offsetof(FlowCount, older))
      .add(offsetof(FlowCount, older_than))
      .add(offsetof(FlowCount, unassured))
      .add(offsetof(ServiceColourCounters, chosen_again))
      .add(offsetof(ServiceColourCounters, previewed))
      .add(offsetof(ServiceColourCounters, answered_when_idle))
      .add(offsetof(TrialCounters, unanswered))
      .add(offsetof(TrialCounters, reset))
      .add(offsetof(TrialCounters, no_reply))
      .add(offsetof(TrialCounters, slow))
      .add(kClientCells)
      .add(kWorkerSlots);
  for (std::string_view name : kEventNames) hash.add(name);
  for (std::string_view name : kDropReasonNames) hash.add(name);
  return hash.value();
}

// Functions have no size: sample values show them.
Socket sample_socket() {
  Socket sample{.address = {}, .port = Be16::from_host(1), .protocol = kProtocolTcp};
  sample.address.bytes[15] = 1;
  return sample;
}

// A change of a hash function is a change of the rules: several hosts must choose the same backend.
uint64_t hashes_of_rules() {
  const Socket sample = sample_socket();
  return LayoutHash(1)
      .add(socket_hash(sample))
      .add(decltype(Ruleset::vips)::word_of(sample.address, sample.port, sample.protocol))
      .add(choice_hash(1, 1))
      .add(address_hash(sample.address, 1))
      .value();
}

uint64_t failed_clients_version() {
  constexpr uint64_t kMeaning = 1;
  return LayoutHash(kMeaning)
      .add(sizeof(FailedClients))
      .add(kMaxServices)
      .add(client_hash(sample_socket().address, 1))
      .value();
}

// Outside of the parts: the head, and the fields that the dataplane writes at each start.
constexpr uint64_t rest_of_layout() {
  LayoutHash hash(1);
  hash.add(RTE_VER_YEAR).add(RTE_VER_MONTH).add(sizeof(rte_rcu_qsbr)).add(sizeof(rte_rcu_qsbr_cnt));
  hash.add(sizeof(SegmentHeader))
      .add(sizeof(PortRow))
      .add(offsetof(SegmentHeader, state))
      .add(offsetof(SegmentHeader, parts))
      .add(offsetof(SegmentHeader, tsc_hz))
      .add(offsetof(SegmentHeader, qsbr_offset))
      .add(offsetof(SegmentHeader, word))
      .add(offsetof(SegmentHeader, dataplane_epoch))
      .add(offsetof(SegmentHeader, counted_epoch))
      .add(offsetof(SegmentHeader, counted_generation))
      .add(offsetof(SegmentHeader, worker_count))
      .add(offsetof(SegmentHeader, most_workers))
      .add(offsetof(SegmentHeader, dataplane_pid))
      .add(offsetof(SegmentHeader, steering))
      .add(offsetof(SegmentHeader, ports))
      .add(offsetof(SegmentHeader, next_hops))
      .add(offsetof(SegmentHeader, failed_clients));
  hash.add(offsetof(PortRow, interface))
      .add(offsetof(PortRow, ifindex))
      .add(offsetof(PortRow, mac))
      .add(offsetof(PortRow, side))
      .add(offsetof(PortRow, present))
      .add(offsetof(PortRow, driver))
      .add(offsetof(PortRow, queues))
      .add(offsetof(PortRow, spreads))
      .add(offsetof(PortRow, owned))
      .add(offsetof(PortRow, link))
      .add(offsetof(PortRow, speed_mbps))
      .add(offsetof(PortRow, counters))
      .add(kMaxPorts);
  for (std::string_view name : kNicCounterNames) hash.add(name);
  return hash.value();
}

const SegmentPart& part_of(const SegmentHeader& header, PartId id) {
  return header.parts[static_cast<size_t>(id)];
}

bool is_same(const SegmentHeader& from, uint64_t bytes, const SegmentHeader& to, PartId id) {
  const SegmentPart& source = part_of(from, id);
  const SegmentPart& target = part_of(to, id);
  return source.version == target.version && source.bytes == target.bytes && source.offset <= bytes &&
         source.bytes <= bytes - source.offset;
}

void copy_part(const SegmentHeader& from, SegmentHeader& to, PartId id) {
  std::memcpy(reinterpret_cast<char*>(&to) + part_of(to, id).offset,
              reinterpret_cast<const char*>(&from) + part_of(from, id).offset, part_of(to, id).bytes);
}

uint64_t word_of(const SegmentHeader& header) {
  uint64_t word;
  std::memcpy(&word, reinterpret_cast<const char*>(&header) + part_of(header, PartId::kPublication).offset,
              sizeof(word));
  return word;
}

// A teald of the release of `from` may publish meanwhile: then the slots are copied again. Returns false if
// nothing was published, or if teald does not stop publishing.
bool copy_rules(const SegmentHeader& from, SegmentHeader& to) {
  constexpr int kTries = 10;
  for (int tries = 0; tries < kTries; ++tries) {
    const uint64_t word = word_of(from);
    if (PublicationWord::unpack(word).generation == 0) return false;
    for (const PartId id : {PartId::kRulesets, PartId::kTargets, PartId::kPublication})
      copy_part(from, to, id);
    if (word_of(to) == word && word_of(from) == word) return true;
  }
  std::memset(reinterpret_cast<char*>(&to) + part_of(to, PartId::kPublication).offset, 0,
              part_of(to, PartId::kPublication).bytes);
  return false;
}

}  // namespace

uint64_t part_version(PartId id) {
  switch (id) {
    case PartId::kPublication:
      return publication_version();
    case PartId::kHops:
      return hops_version();
    case PartId::kRulesets:
      return LayoutHash(rulesets_version()).add(hashes_of_rules()).value();
    case PartId::kTargets:
      return targets_version();
    case PartId::kCounters:
      return counters_version();
    case PartId::kFailedClients:
      return failed_clients_version();
    case PartId::kCount:
      break;
  }
  return 0;
}

uint64_t segment_abi() {
  LayoutHash hash(rest_of_layout());
  for (size_t id = 0; id < static_cast<size_t>(PartId::kCount); ++id)
    hash.add(part_version(static_cast<PartId>(id)));
  return hash.add(kFlowsVersion).add(flows_layout()).value();
}

bool take_over_parts(const SegmentHeader& from, uint64_t bytes, SegmentHeader& to) {
  const auto same = [&](PartId id) { return is_same(from, bytes, to, id); };
  const bool has_rules =
      same(PartId::kPublication) && same(PartId::kRulesets) && same(PartId::kTargets) && copy_rules(from, to);
  for (const PartId id : {PartId::kHops, PartId::kCounters, PartId::kFailedClients})
    if (same(id)) copy_part(from, to, id);
  return has_rules;
}

}  // namespace teal
