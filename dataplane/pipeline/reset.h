// SPDX-License-Identifier: Apache-2.0
//
// How Teal ends flows at an operator's wish: flows of a drained colour at the deadline, flows of a backend in
// maint, and with on_down = "reset" flows of a backend that is down. A flow keeps no sequence numbers, and an
// end ignores a RST without the exact number (RFC 5961, 3.2). So Teal makes the ends tell their numbers:
//
//   sweep         makes the flow kResetting and sends a probe to each end: an ACK with random numbers
//   an end        answers a segment outside of its window by an ACK with exact numbers (RFC 9293, 3.10.7.4)
//   reset_answer  turns any packet of an end into the RST to that end, and marks the end in the flow's state
//   both marked   the flow is kReset and counted; its entry answers late packets until its timeout
//
// Worked example: a client's idle connection through 198.18.0.10:80 to 198.18.2.11:8080.
//
//   0.00 s  VIP -> client  ACK seq 2718 ack 3141      client -> backend  ACK seq 1414 ack 1618
//   0.01 s  client -> VIP  ACK seq 7001 ack 9001      is consumed: VIP -> client      RST seq 9001
//           backend -> client  ACK seq 9001 ack 7001  is consumed: client -> backend  RST seq 7001
//
// The packets of a busy flow carry numbers, too, but segments that are under way make these numbers old. So
// Teal answers each further packet of an end again. As nothing passes from one end to the other any more, the
// numbers of the last packet are exact.
//
// An end that never answers has closed its socket, cannot be reached, or is behind a firewall that
// drops segments outside of the window. After three tries Teal removes the flow. A later packet of such an
// end reaches a socket that does not know the connection, and that host resets it.
//
// A flow without an entry (stateless.h) cannot be reset.
#pragma once

#include <cstdint>

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/pace.h"
#include "dataplane/pipeline/probe.h"
#include "dataplane/pipeline/worker_flows.h"
#include "dataplane/shm/segment.h"

namespace teal {

// Whether Teal resets the flows of this backend because it is down. While all backends of the pool serve,
// flows begin on it, so none is reset.
inline bool resets_when_down(const Flow& flow, const BackendRule& backend, const Rules& rules,
                             const SegmentHeader& header) {
  return (rules.ruleset.services[backend.service].flags & kOnDownReset) != 0 &&
         is_down(header, flow.backend) &&
         header.pool_mode[backend.service][static_cast<int>(flow.state.colour())].load(
             std::memory_order_relaxed) != PoolMode::kAllServe;
}

// Whether the rules or the backend's health ask for the reset of this live flow.
inline bool is_to_be_reset(const Flow& flow, const Rules& rules, const SegmentHeader& header) {
  const BackendRule& backend = rules.ruleset.backends[flow.backend];
  const Colour colour = flow.state.colour();
  if (resets_when_down(flow, backend, rules, header)) return true;
  if (backend.flags & (colour == Colour::kBlue ? kBackendResetBlue : kBackendResetGreen)) return true;
  const TrafficSplit& split = rules.splits.services[backend.service];
  return split.reset_before != 0 && colour != split.active &&
         is_older_flow(flow.birth_generation, split.reset_before);
}

// Begins resets and carries them on; the sweep calls it. One per worker.
class Resetter {
 public:
  static constexpr uint32_t kProbesOfAFlow = 2;

  // All `workers` share the rate of the ruleset.
  Resetter(WorkerFlows& flows, const LastHops& last_hops, SegmentHeader& header, WorkerBlock& block,
           uint32_t workers, Probes& probes);

  // Begins to reset a live flow that is_to_be_reset(), as far as the rate allows. A UDP flow ends at once,
  // and so does a TCP flow whose backend has never answered: no end has a connection.
  void begin(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc, uint32_t now_tick);

  // Goes on with a flow that is kResetting: sends the next probes when they are due, or ends the flow.
  void go_on(FlowIndex index, const Flow& flow, const Rules& rules, uint32_t now_tick);

 private:
  void end(FlowIndex index, const Flow& flow, const Rules& rules, Event why);
  void probe_ends(FlowIndex index, const Flow& flow, const Rules& rules, uint32_t now_tick);
  void send_probe(const Socket& source, const Socket& destination, uint64_t hop_word);

  WorkerFlows& flows_;
  const LastHops& last_hops_;
  SegmentHeader& header_;
  WorkerBlock& block_;
  Probes& probes_;
  Pace pace_;
};

}  // namespace teal
