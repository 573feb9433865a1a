// SPDX-License-Identifier: Apache-2.0
//
// The fast path against the slow path: random bursts of all services take both from the same state. Flips,
// resets, cuts, changes of next hops and of health come in between. Both paths must leave the same frames,
// verdicts, flows and counters.
//
// How the test forces the slow path: no packet takes the fast path while the MACs of the ports are not known.
#include <cstddef>
#include <cstring>
#include <random>
#include <span>

#include <rte_mbuf.h>

#include "dataplane/pipeline/classify.h"
#include "dataplane/pipeline/track.h"
#include "dataplane/pipeline/translate.h"
#include "tests/support/rounds.h"
#include "tests/unit/dataplane/ring_ports.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

struct Outcome {
  Verdict verdict;
  uint64_t hop;
  Frame frame;

  bool operator==(const Outcome& other) const {
    return verdict.kind() == other.verdict.kind() && verdict.reason() == other.verdict.reason() &&
           hop == other.hop && frame == other.frame;
  }
};

// Stage track with the objects that a worker gives it.
struct TrackStage {
  TrackStage(Segment& segment, WorkerBlock& block)
      : flows(segment, block, 0, 1),
        last_hops(segment.header(), segment.flows()),
        signals(segment.header(), flows, block, segment.header().tsc_hz),
        asks(flows, probes, segment.header(), block, 1),
        tracker(segment.header(), block, flows, last_hops, signals, asks) {}
  WorkerFlows flows;
  LastHops last_hops;
  Signals signals;
  Burst no_burst{};
  Probes probes{nullptr, no_burst};  // sends none here
  Asks asks;
  Tracker tracker;
};

class FastPathTwin : public WorkerTest {
 protected:
  static constexpr uint32_t kTuples = 60;

  void begin() {
    start({.flow_capacity = 200, .partitions = 1});
    stop_workers();
    for (auto& stage : stages_) stage = std::make_unique<TrackStage>(segment(), block());
    for (uint16_t wire = 0; wire < kWires; ++wire) {
      const uint16_t ethdev = RingPorts::get().ethdev(wire);
      traits_[ethdev] = {.hop_prefix = Hop::word_of(wire, 0),
                         .id = wire,
                         .side = wire == kBack ? kBackendSide : kClientSide};
      traits_[ethdev].set_mac(kPortMacs[wire]);
      macs_.set(wire, {{2, 0, 0, 0, 9, static_cast<uint8_t>(wire)}});
    }
  }

  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }

  uint16_t random_backend() {
    return static_cast<uint16_t>(below(static_cast<uint32_t>(ruleset_input.backends.size())));
  }

  std::pair<Wire, Frame> random_packet() {
    const uint32_t number = below(kTuples);
    const Client who = client(static_cast<uint16_t>(number % kServices), number);
    static constexpr uint8_t kFlags[] = {kAck, kAck, kAck, kAck,    kAck, kAck,
                                         kAck, kAck, kSyn, kSynAck, kFin, kRst};
    const uint8_t flags = kFlags[below(sizeof(kFlags))];
    const char* payload = below(2) != 0 ? "x" : "";
    const auto flow = flow_of(who);
    if (!flow || below(2) != 0)
      return {below(20) == 0 ? kSide : kFront, from_client(who, flow ? flags : uint8_t{kSyn}, payload)};
    uint16_t backend = flow->backend;  // now and then another backend of the service
    if (below(20) == 0) {
      do backend = random_backend();
      while (ruleset_input.backends[backend].service != who.service);
    }
    return {kBack, from_backend(who, backend, flags, payload)};
  }

  void change_something() {
    const auto service = static_cast<uint16_t>(below(kServices));
    TrafficSplit& split = splits->services[service];
    switch (below(6)) {
      case 0:
        point_split(service, other(split.active));
        if (below(4) == 0) split.reset_before = split.flip_generation;
        break;
      case 1:
        ruleset_input.services[service].udp_cut = !ruleset_input.services[service].udp_cut;
        break;
      case 2:
        words().set_hop(random_backend(), Hop::kNone);
        break;
      case 3:
        for (const NumberedBackend& b : ruleset_input.backends)
          words().set_hop(b.id, Hop{kBack, backend_mac(b.id)}.word());
        break;
      case 4:
        words().set_held_back(random_backend(), below(2) == 0 ? kTakesAll : below(2) == 0 ? kDown : 128);
        break;
      case 5:
        words().set_mode(service, split.active, static_cast<PoolMode>(below(3)));
        break;
    }
    publish();
  }

  std::vector<Outcome> pass_by(int path, const std::vector<std::pair<Wire, Frame>>& packets) {
    auto burst = std::make_unique<Burst>();
    burst->count = static_cast<uint32_t>(packets.size());
    for (uint32_t i = 0; i < burst->count; ++i)
      burst->mbufs[i] = make_mbuf(packets[i].first, packets[i].second);
    TrackStage& stage = *stages_[static_cast<size_t>(path)];
    const LookAhead lookups(*burst, stage.flows.table());
    classify(*burst, rules(), traits_, lookups);
    stage.tracker.track(*burst, rules(), traits_, path == kFast ? macs_ : PortMacs{}, lookups, now_tick_);
    if (path == kFast) {
      for (const Packet& packet : burst->all())
        took_fast_path_ += packet.verdict.kind() == Verdict::Kind::kForward;
    }
    translate(*burst, rules(), macs_);
    std::vector<Outcome> outcomes;
    for (const Packet& packet : burst->all()) {
      const bool forward = packet.verdict.kind() == Verdict::Kind::kForward;
      outcomes.push_back({packet.verdict, forward ? packet.hop : 0,
                          Frame(packet.frame, packet.frame + rte_pktmbuf_data_len(packet.mbuf))});
    }
    rte_pktmbuf_free_bulk(burst->mbufs, burst->count);
    return outcomes;
  }

  // All that a burst may change: the worker's counters and the flow table. Of the signals and times, the rows
  // that the test's backends and services have.
  std::vector<std::span<char>> parts() {
    const auto bytes = [](auto* from, size_t size) {
      return std::span<char>(reinterpret_cast<char*>(from), size);
    };
    return {bytes(&block(), offsetof(WorkerBlock, signals)),
            bytes(&block().signals, kBackends * sizeof(block().signals[0])),
            bytes(&block().times, kServices * sizeof(block().times[0])),
            bytes(reinterpret_cast<char*>(&segment().flows()) + segment().flows().buckets_offset,
                  segment().flows().geometry.bytes())};
  }
  std::string state() {
    std::string all;
    for (const std::span<char> part : parts()) all.append(part.data(), part.size());
    return all;
  }
  void restore(const std::string& state) {
    size_t at = 0;
    for (const std::span<char> part : parts()) {
      std::memcpy(part.data(), state.data() + at, part.size());
      at += part.size();
    }
  }

  static constexpr int kFast = 0, kSlow = 1;
  WorkerBlock& block() { return segment().worker(0); }

  std::mt19937 random_{20261128};
  uint32_t now_tick_ = 1000;
  uint64_t took_fast_path_ = 0;

 private:
  std::array<PortTraits, 64> traits_;
  PortMacs macs_;
  std::unique_ptr<TrackStage> stages_[2];
};

TEST_F(FastPathTwin, LeavesWhatTheSlowPathLeaves) {
  begin();
  uint64_t sent = 0;
  for (int round = 0; round < rounds(5000); ++round) {
    if (below(100) == 0) change_something();
    now_tick_ += below(3);
    std::vector<std::pair<Wire, Frame>> packets;
    for (uint32_t i = 1 + below(Burst::kCapacity); i > 0; --i) packets.push_back(random_packet());
    const std::string before = state();
    const std::vector<Outcome> by_slow_path = pass_by(kSlow, packets);
    const std::string after = state();
    restore(before);
    ASSERT_TRUE(pass_by(kFast, packets) == by_slow_path) << "round " << round;
    ASSERT_TRUE(state() == after) << "round " << round;
    sent += packets.size();
  }
  EXPECT_GT(took_fast_path_, sent / 4) << "of " << sent;
  EXPECT_LT(took_fast_path_, sent);
}

}  // namespace
}  // namespace teal::test
