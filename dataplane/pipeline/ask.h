// SPDX-License-Identifier: Apache-2.0
//
// How Teal tells a connection that is over from one that a stranger says is over. Anybody can send a RST or a
// SYN with a client's address and port. So neither is believed about an assured flow: Teal asks the backend,
// by a probe (probe.h) with the client's address. Two packets begin that, and the flow is kAsked then:
//
//   a RST of the client  passes to the backend, and the probe follows it
//   a SYN of the client  where the present choice names another backend. The SYN is dropped. If the choice
//                        names the flow's own backend, nothing is asked: the SYN passes, and moves nothing.
//
// While a flow is kAsked, it counts as live, and everything but such a SYN passes. The answer never reaches
// the client, and says what to do:
//
//   RST      the backend has no such connection: the flow is kReset, and the client's next SYN begins another
//   ACK      it has: the flow is kEstablished again
//   silence  three probes, 610 ms apart at least, and no answer; or the client's next SYN comes first. Nothing
//            is proven, so the flow stays. A RST counts as the client's FIN then: the flow ends after the
//            timeout of half-closed flows, unless the client sends data. The usual cause is a firewall on the backend that drops packets which its
//            connection tracking calls invalid (docs/operations.md).
//
// Worked example: a connection of blue2, after a flip to green. Its client has restarted, and its new
// connection uses the same port.
//
//   0.0 s  client -> VIP    SYN          is dropped     client -> blue2  ACK seq 2718 ack 3141
//          blue2 -> client  RST seq 3141                is consumed: blue2 has closed the connection
//   1.0 s  client -> VIP    SYN          goes to green
//
// After an ACK or silence the client's SYNs pass for kSynPassTicks, as a client that has lost its connection
// resets it once the backend answers: the answer has the exact numbers that a stranger cannot know. If the
// backend answers such a SYN by a SYN-ACK, it has taken the SYN for a new connection: the old one is over.
// Teal resets the new one, as new connections belong to the present choice.
//
// A backend that has sent its FIN is not asked: TIME_WAIT answers like a live connection. A SYN passes to it
// at once, and a SYN-ACK says the same as above. Its RSTs are believed, and so is a client's RST after them.
//
// The workers share kAsksPerSecond. A flow beyond that stays kAsked until the sweep asks about it.
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

  // A SYN of the client, on an assured and live flow that the present choice would send to another backend.
  // Undecided: it passes to the flow's backend. Otherwise it is a drop.
  Verdict syn(const Packet& packet, const Rules& rules, uint32_t now_tick);

  // A packet of the client has changed its flow's state.
  void client_sent(FlowIndex flow, const FlowState& before, const FlowState& after) {
    if (after.phase == FlowPhase::kAsked && before.phase != FlowPhase::kAsked) [[unlikely]]
      ask_soon(flow);
  }

  // Whether backend_sent() is to be asked about a packet of the flow's backend.
  static bool may_get_answer(const Packet& packet, const FlowState& before) {
    return before.phase == FlowPhase::kAsked || before.probes != 0 || (packet.shape.tcp_flags & kTcpRst) != 0;
  }
  // A packet of the flow's backend. Undecided, with the role that it had: it is no answer. Otherwise it is a
  // drop, or has got the role kOfResetFlow.
  Verdict backend_sent(Packet& packet, const Rules& rules, uint32_t now_tick);

  // Whether there are probes to send, and sends as many as the burst has room for.
  bool are_waiting() const { return waiting_count_ > 0; }
  void send(const Rules& rules, uint64_t now_tsc, uint32_t now_tick);

  // The sweep calls it for a flow that is kAsked: sends the next probe if it is due, or gives up.
  void go_on(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc, uint32_t now_tick);

 private:
  void ask_soon(FlowIndex flow) {
    if (waiting_count_ < waiting_.size()) waiting_[waiting_count_++] = flow;  // else the sweep asks
  }
  void ask(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc, uint32_t now_tick);
  void give_up(FlowIndex flow, const FlowState& state, const Rules& rules, uint32_t now_tick);
  bool has_number_of_probe(const Packet& packet) const;
  void becomes(FlowIndex flow, FlowPhase phase, uint8_t probes, const Rules& rules, uint32_t now_tick);

  WorkerFlows& flows_;
  Probes& probes_;
  SegmentHeader& header_;
  WorkerBlock& block_;
  Pace pace_;
  std::array<FlowIndex, 256> waiting_;
  uint32_t waiting_count_ = 0;
};

}  // namespace teal
