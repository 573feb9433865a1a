// SPDX-License-Identifier: Apache-2.0
//
// The sweep, and the changes of flows that bring its buckets forward, against the plainest rule: each flow
// ends at its timeout, and each reset begins at once. The sweep may be one round late. The workers are
// stopped; the test calls the stages and says what time it is.
#include <map>
#include <random>

#include <rte_mbuf.h>

#include "dataplane/pipeline/classify.h"
#include "dataplane/pipeline/phase.h"
#include "dataplane/pipeline/sweep.h"
#include "dataplane/pipeline/track.h"
#include "tests/support/rounds.h"
#include "tests/unit/dataplane/ring_ports.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

constexpr uint32_t kRoundTicks = 101;  // of a small table: 1 s, and both ends of the time are rounded
constexpr uint32_t kLongestStep = 40;  // ticks, without a sweep in between

class Sweep : public WorkerTest {
 protected:
  void begin(uint64_t first_tick) {
    start();
    stop_workers();
    now_tick_ = first_tick;
    now_tsc_ = first_tick * tsc_per_tick();
    flows_ = std::make_unique<WorkerFlows>(segment(), block(), 0, 1);
    last_hops_ = std::make_unique<LastHops>(header(), segment().flows());
    signals_ = std::make_unique<Signals>(header(), *flows_, block(), header().tsc_hz);
    asks_ = std::make_unique<Asks>(*flows_, maker_, header(), block(), 1);
    tracker_ = std::make_unique<Tracker>(header(), block(), *flows_, *last_hops_, *signals_, *asks_);
    resetter_ = std::make_unique<Resetter>(*flows_, *last_hops_, header(), block(), 1, maker_);
    sweeper_ = std::make_unique<Sweeper>(*flows_, *resetter_, *asks_, *signals_, maker_, header(), block());
    for (uint16_t wire = 0; wire < kWires; ++wire)
      traits_[RingPorts::get().ethdev(wire)] = {.hop_prefix = Hop::word_of(wire, 0),
                                                .id = wire,
                                                .side = wire == kBack ? kBackendSide : kClientSide};
  }

  void arrive(Wire wire, const Frame& frame) {
    burst_.count = 1;
    burst_.mbufs[0] = make_mbuf(wire, frame);
    const LookAhead lookups(burst_, flows_->table());
    signals_->samples().set_time(now_tsc_);
    classify(burst_, rules(), traits_, lookups);
    tracker_->track(burst_, rules(), traits_, macs_, lookups, now_tick_);
    rte_pktmbuf_free(burst_.mbufs[0]);
  }

  void sweep_for(uint32_t ticks) {
    now_tick_ += ticks;
    now_tsc_ += ticks * tsc_per_tick();
    do {
      probes_.count = 0;
      sweeper_->sweep(rules(), now_tsc_, static_cast<uint32_t>(now_tick_));
      rte_pktmbuf_free_bulk(probes_.mbufs, probes_.count);
      block().count(Event::k_tx, probes_.count);
    } while (probes_.count != 0);
  }
  void sweep_for_long(uint32_t ticks) {
    for (; ticks > kLongestStep; ticks -= kLongestStep) sweep_for(kLongestStep);
    sweep_for(ticks);
  }

  uint64_t now_tick() const { return now_tick_; }
  WorkerBlock& block() { return segment().worker(0); }

 private:
  uint64_t tsc_per_tick() { return header().tsc_hz / kTicksPerSecond; }

  uint64_t now_tick_ = 0;
  uint64_t now_tsc_ = 0;
  std::array<PortTraits, 64> traits_;
  PortMacs macs_;
  Burst burst_{}, probes_{};
  Probes maker_{RingPorts::get().pool(), probes_};
  std::unique_ptr<WorkerFlows> flows_;
  std::unique_ptr<LastHops> last_hops_;
  std::unique_ptr<Signals> signals_;
  std::unique_ptr<Asks> asks_;
  std::unique_ptr<Tracker> tracker_;
  std::unique_ptr<Resetter> resetter_;
  std::unique_ptr<Sweeper> sweeper_;
};

class SweepLateness : public Sweep {
 protected:
  static constexpr uint32_t kTuples = 120;

  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }

  void random_packet() {
    const uint32_t number = below(kTuples);
    const Client who = client(static_cast<uint16_t>(number % kServices), number);
    static constexpr uint8_t kFlags[] = {kSyn, kSyn, kAck, kAck, kAck, kSynAck, kFin, kRst};
    const uint8_t flags = kFlags[below(sizeof(kFlags))];
    const char* payload = below(2) != 0 ? "x" : "";
    const auto flow = flow_of(who);
    if (below(2) != 0 || !flow) return arrive(kFront, from_client(who, flags, payload));
    arrive(kBack, from_backend(who, flow->backend, flags, payload));
  }

  void random_publication() {
    Timeouts& timeouts = ruleset_input.timeouts;
    if (below(3) == 0) {
      timeouts = {.embryonic = 20 + below(300),
                  .tcp_established = 20 + below(3000),
                  .tcp_half_closed = 20 + below(1000),
                  .tcp_closed = 20 + below(300),
                  .udp_established = 20 + below(1000)};
    } else {
      const auto service = static_cast<uint16_t>(below(kServices));
      TrafficSplit& split = splits->services[service];
      point_split(service, split.active == Colour::kBlue ? Colour::kGreen : Colour::kBlue);
      if (below(2) == 0) {
        split.reset_before = split.flip_generation;
        split.flipped_at_tick = now_tick() - split.drain_ticks;  // a reset comes after the deadline
      }
    }
    publish();
  }

  // Describes a flow that the sweep has neglected for longer than a round. Empty if there is none.
  std::string late_flow() {
    std::string late;
    std::map<FlowIndex, uint64_t> waiting_since;
    const FlowTable table = segment().flow_table();
    for (uint64_t bucket = 0; bucket < table.geometry().buckets(); ++bucket) {
      table.for_each_in_bucket(bucket, [&](FlowIndex index, const Flow& flow) {
        if (!has_work(flow)) return;
        const auto before = waiting_since_.find(index);
        const uint64_t since = before == waiting_since_.end() ? now_tick() : before->second;
        waiting_since[index] = since;
        if (now_tick() - since > kRoundTicks + kLongestStep)
          late = "flow " + std::to_string(index) + " of phase " +
                 std::to_string(static_cast<int>(flow.state.phase)) + " has waited for " +
                 std::to_string(now_tick() - since) + " ticks";
      });
    }
    waiting_since_.swap(waiting_since);
    return late;
  }

 private:
  bool has_work(const Flow& flow) {
    const uint32_t age = ticks_since(flow.state.tick, static_cast<uint32_t>(now_tick()));
    if (flow.state.phase == FlowPhase::kResetting) return age >= kProbeTicks;
    return age >= timeout_ticks(ruleset_input.timeouts, flow.state) ||
           (!is_closing(flow.state.phase) && is_to_be_reset(flow, rules(), header()));
  }

  std::mt19937 random_{20261123};
  std::map<FlowIndex, uint64_t> waiting_since_;
};

TEST_F(SweepLateness, IsARoundAtMost) {
  begin(~uint32_t{0} - 20'000);  // the ticks of flows wrap on the way
  constexpr int kSteps = rounds(20'000);
  for (int step = 0; step < kSteps; ++step) {
    for (uint32_t packets = below(20); packets > 0; --packets) random_packet();
    if (below(50) == 0) random_publication();
    sweep_for(below(kLongestStep) + 1);
    const std::string late = late_flow();
    ASSERT_EQ(late, "") << "step " << step;
  }
  EXPECT_GT(count(Event::k_flows_aged), kSteps / 20u);
  EXPECT_GT(count(Event::k_flows_reset), kSteps / 200u);
}

TEST_F(Sweep, DoesNotLookIntoABucketThatIsNotDue) {
  ruleset_input.timeouts.embryonic = 1000;
  begin(5000);
  sweep_for_long(3 * kRoundTicks);
  const Client who = client(kWeb);
  arrive(kFront, from_client(who, kSyn));
  // The flow is overdue, but the sweep does not know: no change that WorkerFlows makes shortens a life like
  // this.
  FlowState state = flow_of(who)->state;
  state.tick -= 1000;
  state.counted = 1;  // nor does the sweep ask about its outcome
  set_state(who, state);
  sweep_for_long(800);
  EXPECT_TRUE(flow_of(who)) << "its bucket was not due";
  sweep_for_long(200 + kRoundTicks);
  EXPECT_FALSE(flow_of(who));
}

TEST_F(Sweep, ResetThatWaitsForTheRateIsTriedInEveryRound) {
  ruleset_input.reset_rate = 1;
  begin(5000);
  sweep_for_long(3 * kRoundTicks);
  for (uint32_t i = 0; i < 4; ++i) {
    const Client who = client(kWeb, i);
    arrive(kFront, from_client(who, kSyn));
    arrive(kBack, from_backend(who, flow_of(who)->backend, kSynAck));
    arrive(kFront, from_client(who, kAck));
  }
  point_split(kWeb, Colour::kGreen);
  splits->services[kWeb].reset_before = splits->services[kWeb].flip_generation;
  publish_splits();
  for (uint64_t begun = 1; begun <= 4; ++begun) {
    sweep_for_long(kRoundTicks);
    EXPECT_GE(count(Event::k_reset_probes), 2 * begun);
  }
}

}  // namespace
}  // namespace teal::test
