// SPDX-License-Identifier: Apache-2.0
//
// Asks a backend whether it still has a connection. Anybody can send a RST or a SYN with a client's address
// and port, so neither is believed about an assured flow. Teal sends the backend a probe (probe.h) with the
// client's address. Two packets begin that and set the phase to kAsked:
//
//   a RST of the client  passes to the backend, and the probe follows it
//   a SYN of the client  where a new flow would not go to the flow's backend. The SYN is dropped. If it
//                        would, nothing is asked: the SYN passes, and moves nothing.
//
// A flow that is kAsked counts as live, and everything but such a SYN passes. The answer does not reach the
// client, and says what to do:
//
//   RST      the backend has no such connection: the flow is kReset, and the client's next SYN begins another
//   ACK      it has: the flow is what it was before
//   silence  three probes, 610 ms apart at least, and no answer; or the client's next SYN comes first.
//            Nothing is proven, so the flow stays, unless its backend is known to be down. A RST counts as
//            the client's FIN then: the flow ends after the timeout of half-closed flows, unless the client
//            sends data. The usual cause is a firewall on the backend that drops packets which its connection
//            tracking calls invalid (docs/operations.md).
//
// Worked example: a connection of blue2, after a flip to green. Its client has restarted, and its new
// connection uses the same port.
//
//   0.0 s  client -> VIP    SYN          is dropped     client -> blue2  ACK seq 2718 ack 3141
//          blue2 -> client  RST seq 3141                is consumed: blue2 has closed the connection
//   1.0 s  client -> VIP    SYN          goes to green
//
// After an ACK or silence the client's SYNs pass until the flow is idle for kSynPassTicks, as a client that
// has lost its connection resets it once the backend answers: the answer has the exact numbers that a
// stranger cannot know. If the backend answers such a SYN by a SYN-ACK, it has taken the SYN for a new
// connection, and if it refuses the SYN, it has none: the old one is over. Teal resets the new one, as new
// connections belong to the present choice.
//
// Two kinds of backends are not asked about a SYN, as their answer to a probe proves nothing:
//
//   that has sent its FIN       TIME_WAIT answers like a live connection. A SYN passes at once, and its
//                               answer says the same as above. A client's RST is believed.
//   that has only shaken hands  SYN-RECEIVED answers by a RST (RFC 9293, 3.10.7.4). A SYN passes and moves
//                               nothing. After a client's RST and such an answer, the flow is kReset, and a
//                               SYN still passes.
//
// The workers share kAsksPerSecond. A flow beyond that stays kAsked until the sweep asks about it. A flow
// whose backend has answered is not asked about again for the time between two probes: the first ACK of the
// backend is taken for the answer, and a stream of forged RSTs must not cost more of them.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/pace.h"
#include "dataplane/pipeline/probe.h"
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

// Asks a worker's backends.
class Asks {
 public:
  static constexpr uint32_t kAsksPerSecond = 100'000;
  static constexpr uint32_t kSynPassTicks = 1'000;

  Asks(WorkerFlows& flows, Probes& probes, SegmentHeader& header, WorkerBlock& block, uint32_t workers)
      : flows_(flows), probes_(probes), header_(header), block_(block), pace_(header.tsc_hz, workers) {}

  // A SYN of the client on an assured flow, which begins no flow. `elsewhere`: a new flow would not go to the
  // flow's backend. Undecided: the SYN passes to that backend. Otherwise it is a drop.
  Verdict syn(const Packet& packet, bool elsewhere, const Rules& rules, uint32_t now_tick);

  // A packet of the client has changed its flow's state. Soon after an answer, the sweep asks, later.
  void client_sent(FlowIndex flow, const FlowState& before, const FlowState& after, uint32_t now_tick) {
    if (after.phase == FlowPhase::kAsked && before.phase != FlowPhase::kAsked &&
        !was_answered_lately(flow, now_tick)) [[unlikely]]
      ask_soon(flow);
  }

  // Returns true if backend_sent() must see this packet of the flow's backend.
  static bool may_get_answer(const Packet& packet, const FlowState& before) {
    return before.phase == FlowPhase::kAsked || before.probes != 0 || (packet.shape.tcp_flags & kTcpRst) != 0;
  }
  // Returns undecided and leaves the role if the packet is not an answer. Otherwise returns a drop, or sets
  // the role kOfResetFlow.
  Verdict backend_sent(Packet& packet, const Rules& rules, uint32_t now_tick);

  // Whether send() has something to do.
  bool are_waiting() const { return waiting_count_ > 0; }
  // Sends the probes that are to be sent soon, as many as the burst has room for.
  void send(const Rules& rules, uint64_t now_tsc, uint32_t now_tick);

  // The sweep calls it for a flow that is kAsked: sends the next probe if it is due, or gives up.
  void go_on(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc, uint32_t now_tick);

 private:
  void ask_soon(FlowIndex flow) {
    if (waiting_count_ < waiting_.size()) waiting_[waiting_count_++] = flow;  // else the sweep asks
  }
  bool was_answered_lately(FlowIndex flow, uint32_t now_tick) const {
    const Answered& known = answered_[flow % answered_.size()];
    return known.flow == flow && ticks_since(known.tick, now_tick) < kProbeTicks;
  }
  void ask(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc, uint32_t now_tick);
  void give_up(FlowIndex flow, const FlowState& state, uint16_t backend, const Rules& rules,
               uint32_t now_tick);
  bool has_number_of_probe(const Packet& packet) const;
  static bool refuses_syn(const Packet& packet, const FlowState& before);
  FlowPhase phase_before(const FlowState& asked) const;
  void becomes(FlowIndex flow, FlowPhase phase, uint8_t probes, const Rules& rules, uint32_t now_tick,
               uint8_t cleared_flags = 0);

  WorkerFlows& flows_;
  Probes& probes_;
  SegmentHeader& header_;
  WorkerBlock& block_;
  Pace pace_;
  std::array<FlowIndex, 256> waiting_;
  uint32_t waiting_count_ = 0;
  // The flows whose backend has answered lately, each at its index modulo the size. A later one takes the
  // place.
  struct Answered {
    FlowIndex flow = kNoFlow;
    uint32_t tick = 0;
  };
  std::array<Answered, 1024> answered_;
};

}  // namespace teal
