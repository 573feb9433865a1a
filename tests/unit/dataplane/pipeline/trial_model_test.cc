// SPDX-License-Identifier: Apache-2.0
//
// Compares TrialCounters with the plainest version: a map from flow to its state. Random packets
// come from both sides of 200 tuples, then of 200 others. Flips, trials and times without packets come in
// between.
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "control/metrics/trials.h"
#include "dataplane/pipeline/phase.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class TrialModelTest : public WorkerTest {
 protected:
  static constexpr uint32_t kTuples = 200;  // at a time
  static constexpr uint32_t kOperationsOfATuple = 6'000;
  static constexpr uint32_t kOperations = 60'000;

  struct ModelFlow {
    uint16_t backend;
    Colour colour;
    uint32_t birth_generation;
    bool counts;  // the hash chose its colour, at its first packet
    bool midstream;
    FlowPhase phase = FlowPhase::kEmbryonic;
    bool answered = false, known = false, failed = false;

    bool is_unanswered() const { return phase == FlowPhase::kEmbryonic && !answered; }
  };
  using Signal = uint64_t TrialCounts::*;

  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }
  static Client tuple(uint32_t number) { return client(static_cast<uint16_t>(number % kServices), number); }
  static bool is_tcp(uint16_t service) { return service == kWeb || service == kWeb6; }

  TrialCounts& cell_of(uint32_t number, Colour colour) {
    const Client who = tuple(number);
    const uint64_t hash = client_hash(who.address, segment().flow_table().secret());
    return expected_[who.service][static_cast<int>(colour)][hash >> 61];
  }

  void fail(uint32_t number, ModelFlow& flow, Signal signal) {
    const Client who = tuple(number);
    const uint32_t from = splits->services[who.service].counted_from;
    if (!flow.counts || flow.failed || flow.birth_generation < from) return;
    flow.failed = true;
    // The clients of IPv6 are of one /64.
    const std::string of = who.address.is_v4() ? who.address.to_string() : "the /64";
    if (ruleset_input.services[who.service].affinity_client &&
        !failed_clients_.insert({who.service, from, of}).second)
      return;
    ++(cell_of(number, flow.colour).*signal);
  }

  void begin(uint32_t number, uint16_t backend, bool midstream, bool again) {
    const Colour colour = colour_of(backend);
    const auto generation = static_cast<uint32_t>(next_generation() - 1);
    flows_[number] = {backend, colour, generation, !midstream && !again, midstream};
    again_ += again;
    if (!midstream && !again) ++cell_of(number, colour).begun;
  }

  void client_sends(uint32_t number) {
    static constexpr uint8_t kUsual[] = {kSyn, kSyn, kSyn, kAck, kAck, kFin, kRst};
    const uint8_t flags = kUsual[below(sizeof(kUsual))];
    const Client who = tuple(number);
    const TrafficSplit& split = splits->services[who.service];
    const auto found = flows_.find(number);
    const uint64_t replaced = count(Event::k_flows_replaced);
    const uint16_t backend = send_from_client(who, flags);
    for (const Sent& ask : take_asks()) {  // the connection is over
      ASSERT_TRUE(drops(DropReason::k_ask_answer, kBack, answer_to(ask, false)));
      found->second.phase = FlowPhase::kReset;
      return;
    }
    if (found == flows_.end()) {
      const bool midstream = is_tcp(who.service) && flags != kSyn;
      if (!is_tcp(who.service) || flags != kRst) begin(number, backend, midstream, false);
      return;
    }
    ModelFlow& flow = found->second;
    if (!is_tcp(who.service)) {
      const bool cut = ruleset_input.services[who.service].udp_cut && flow.colour != split.active &&
                       flow.birth_generation < split.flip_generation;
      if (cut) begin(number, backend, false, true);
      return;
    }
    if (flags == kSyn && is_closing(flow.phase) && count(Event::k_flows_replaced) > replaced)
      return begin(number, backend, false, false);
    if (flags == kSyn && flow.is_unanswered() && flow.colour != split.active) {
      if (!flow.midstream && !flow.known) fail(number, flow, &TrialCounts::unanswered);
      return begin(number, backend, false, true);
    }
    move(flow, false, flags);
  }

  void backend_sends(uint32_t number) {
    static constexpr uint8_t kUsual[] = {kSynAck, kSynAck, kAck, kFin, kRst};
    const uint8_t flags = kUsual[below(sizeof(kUsual))];
    const auto found = flows_.find(number);
    if (found == flows_.end()) return;
    ModelFlow& flow = found->second;
    const auto known = flow_of(tuple(number));
    pass(kBack, from_backend(tuple(number), flow.backend, flags));
    if (flags == kSynAck && known && known->state.probes == kSynPasses) {
      flow.phase = FlowPhase::kReset;  // Teal resets the connection that begins
      return;
    }
    const bool rst = flags == kRst && is_tcp(tuple(number).service);
    if (rst && !flow.known && !flow.midstream) fail(number, flow, &TrialCounts::refused);
    if (rst && flow.known && flow.phase == FlowPhase::kEstablished) fail(number, flow, &TrialCounts::reset);
    flow.known = flow.known || !flow.midstream;
    flow.answered = true;
    move(flow, true, flags);
  }

  // Backends answer at once that a connection is over. No backend is asked about a flow that is not assured.
  static FlowPhase after(FlowPhase phase) { return phase == FlowPhase::kAsked ? FlowPhase::kReset : phase; }

  void move(ModelFlow& flow, bool from_backend, uint8_t flags) const {
    const bool tcp = is_tcp(ruleset_input.backends[flow.backend].service);
    const FlowEvent event = flags == kRst   ? FlowEvent::kRst
                            : flags == kFin ? FlowEvent::kFin
                            : flags == kAck ? FlowEvent::kBareAck
                                            : FlowEvent::kSyn;
    if (tcp)
      flow.phase = after(next_phase(flow.phase, from_backend, event));
    else if (from_backend)
      flow.phase = FlowPhase::kEstablished;
  }

  void time_passes() {
    for (uint32_t i = 0; i < 2 * kTicksPerSecond + 1; ++i) {
      let_pass(1);
      settle();
    }
    for (auto& [number, flow] : flows_) {
      if (!flow.is_unanswered() || flow.midstream || flow.known) continue;
      fail(number, flow, is_tcp(tuple(number).service) ? &TrialCounts::unanswered : &TrialCounts::no_reply);
      flow.known = true;
    }
  }

  void begin_trial(uint16_t service, bool by_flip) {
    splits->services[service].counted_from = static_cast<uint32_t>(next_generation());
    if (by_flip) {
      flip({service}, static_cast<Colour>(below(2)));
    } else {
      publish_splits();
      settle();
    }
  }

  void compare() const {
    for (uint16_t service = 0; service < kServices; ++service) {
      TrialCells found[kColours], sum, expected_sum;
      for (uint32_t colour = 0; colour < kColours; ++colour) {
        for (uint32_t cell = 0; cell < kClientCells; ++cell) {
          for (uint32_t worker = 0; worker < kMaxTestWorkers; ++worker)
            found[colour][cell] += counts_of(segment().worker(worker).trials[service][colour][cell]);
          add(sum[cell], found[colour][cell]);
          add(expected_sum[cell], expected_[service][colour][cell]);
        }
        // A round of the sweep may meet a client's flows of both colours, in any order: the first one counts.
        if (!ruleset_input.services[service].affinity_client) {
          ASSERT_EQ(found[colour], expected_[service][colour]) << "service " << service;
        }
      }
      ASSERT_EQ(sum, expected_sum) << "service " << service;
    }
  }
  static void add(TrialCounts& sum, const TrialCounts& counts) {
    sum.begun += counts.begun;
    sum.refused += counts.refused;
    sum.unanswered += counts.unanswered;
    sum.reset += counts.reset;
    sum.no_reply += counts.no_reply;
  }

  void run(uint32_t workers) {
    ruleset_input.services[kEcho].udp_cut = true;
    ruleset_input.services[kWeb].affinity_client = true;
    ruleset_input.services[kEcho6].affinity_client = true;
    ruleset_input.timeouts = {10'000'000, 10'000'000, 10'000'000, 10'000'000, 10'000'000};
    start({.workers = workers, .flow_capacity = 10'000});
    // A ramp, so that failures count by client. Its share is too small for any of these clients.
    for (const uint16_t service : {kWeb, kEcho6}) splits->services[service].other_share = 1;
    publish_splits();
    for (uint32_t i = 0; i < kOperations && !HasFatalFailure(); ++i) {
      const uint32_t number = i / kOperationsOfATuple * kTuples + below(kTuples);
      below(2) == 0 ? client_sends(number) : backend_sends(number);
      if (below(100) == 0) let_pass(1);
      if (below(300) == 0) flip({static_cast<uint16_t>(below(kServices))}, static_cast<Colour>(below(2)), 0);
      if (below(300) == 0) begin_trial(static_cast<uint16_t>(below(kServices)), below(2) == 0);
      if (below(500) == 0) time_passes();
      if (i % 1'000 == 0) compare();
    }
    compare();
    EXPECT_GT(again_, 50u);
    TrialCounts sum;
    for (const auto& by_colour : expected_)
      for (const TrialCells& cells : by_colour)
        for (const TrialCounts& cell : cells) add(sum, cell);
    for (const uint64_t failures : {sum.refused, sum.unanswered, sum.reset, sum.no_reply})
      EXPECT_GT(failures, 20u);
  }

 private:
  std::map<uint32_t, ModelFlow> flows_;
  std::set<std::tuple<uint16_t, uint32_t, std::string>> failed_clients_;  // service, trial, client
  TrialCells expected_[kServices][kColours];
  uint32_t again_ = 0;
  std::mt19937_64 random_{1};
};

using TrialModel = TrialModelTest;

TEST_F(TrialModel, TheCountersAreThoseOfThePlainestVersion) {
  run(1);
}

TEST_F(TrialModel, TheCountersAreThoseOfThePlainestVersionAmongThreeWorkers) {
  run(3);
}

}  // namespace
}  // namespace teal::test
