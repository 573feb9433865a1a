// SPDX-License-Identifier: Apache-2.0
//
// How Teal ends flows that an operator wants ended: those of a drained colour at its deadline, those of a
// backend in maint. A flow keeps no sequence numbers, and a RST that does not carry the exact one is not
// believed (RFC 5961, 3.2), so the ends are made to tell theirs:
//
// clang-format off
//   sweep     the flow becomes kResetting, and to each end goes a probe: an ACK with random numbers
//   an end    answers what is outside of its window by an ACK (RFC 9293, 3.10.7.4) with the exact ones
//   track     takes whatever an end sends and turns it into the RST to that end, which is then marked
//   both      are marked: the flow is kReset, counted, and its entry answers latecomers until its timeout
// clang-format on
//
// Worked example: a client's idle connection through 198.18.0.10:80 to 198.18.2.11:8080, 1 s of sweep:
//
// clang-format off
//   0.00 s  VIP -> client  ACK seq 2718 ack 3141      client -> backend  ACK seq 1414 ack 1618
//   0.01 s  client -> VIP  ACK seq 7001 ack 9001      is consumed: VIP -> client      RST seq 9001
//           backend -> client  ACK seq 9001 ack 7001  is consumed: client -> backend  RST seq 7001
// clang-format on
//
// A busy flow's packets carry numbers too, but what is on its way at that moment makes them old: each
// further packet of an end is answered again, and as nothing passes any more, the last one's are exact.
//
// Linux answers a socket's probes once in 500 ms (net.ipv4.tcp_invalid_ratelimit), so they are further apart.
// An end that never answers has no socket any more, cannot be reached, or is behind a firewall that knows the
// connection and drops what is outside of its window: after three tries the flow is forgotten, and what such
// an end sends later meets a socket that knows nothing of it.
//
// A flow without an entry (its table was full) is not reset.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/worker_flows.h"
#include "dataplane/shm/segment.h"

struct rte_mempool;

namespace teal {

// 600 ms, and one tick more as both ends of the time are rounded down.
inline constexpr uint32_t kProbeTicks = 61;
inline constexpr uint8_t kMaxProbes = 3;

// Is this flow, which is live, to be reset under these rules?
inline bool is_to_be_reset(const Flow& flow, const Rules& rules) {
  const BackendRule& backend = rules.ruleset.backends[flow.backend];
  const Colour colour = flow.state.colour();
  if (backend.flags & (colour == Colour::kBlue ? kBackendResetBlue : kBackendResetGreen)) return true;
  const TrafficSplit& split = rules.splits.services[backend.service];
  return split.reset_before != 0 && colour != split.active &&
         is_older(flow.birth_generation, split.reset_before);
}

// Paces: a bucket that holds a tenth of a second's worth, but at least one.
class Pace {
 public:
  explicit Pace(uint64_t tsc_hz) : tsc_hz_(tsc_hz) {}

  // `now_tsc` never goes back.
  bool take(uint64_t now_tsc, uint32_t per_second) {
    const uint64_t cost = tsc_hz_ / std::max(per_second, 1u);
    const uint64_t depth = std::max(tsc_hz_ / 10, cost);
    if (now_tsc - paid_until_tsc_ > depth) paid_until_tsc_ = now_tsc - depth;
    if (now_tsc - paid_until_tsc_ < cost) return false;
    paid_until_tsc_ += cost;
    return true;
  }

 private:
  uint64_t tsc_hz_;
  uint64_t paid_until_tsc_ = 0;
};

// The sweeper's part of it. One per worker.
class Resetter {
 public:
  static constexpr uint32_t kProbesOfAFlow = 2;

  // `workers` share the rate. Probes are made of mbufs of `pool` and become undecided rows of `probes`, with
  // a hop, whole but for their Ethernet addresses.
  Resetter(WorkerFlows& flows, const LastHops& last_hops, Segment& segment, WorkerBlock& block,
           uint32_t workers, rte_mempool* pool, Burst& probes);

  // A live flow that is_to_be_reset(): ended at once where there is nobody to tell, else begun with, as far
  // as the rate allows.
  void begin(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc, uint32_t now_tick);

  // A flow that is kResetting: the next probes, or its end.
  void go_on(FlowIndex index, const Flow& flow, const Rules& rules, uint32_t now_tick);

 private:
  void end(FlowIndex index, const Flow& flow, const Rules& rules, Event why);
  void probe_ends(FlowIndex index, const Flow& flow, const Rules& rules, uint32_t now_tick);
  void send_probe(const Socket& source, const Socket& destination, uint64_t hop_word);

  WorkerFlows& flows_;
  const LastHops& last_hops_;
  SegmentHeader& header_;
  WorkerBlock& block_;
  const uint32_t workers_;
  rte_mempool* pool_;
  Burst& probes_;
  Pace pace_;
  uint64_t random_;
};

}  // namespace teal
