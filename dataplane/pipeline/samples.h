// SPDX-License-Identifier: Apache-2.0
//
// Two times of a sample of a worker's flows, in a table beside the flow table:
//
//   handshake     the client's first SYN to the backend's SYN-ACK
//   first answer  the client's first data to the backend's next data (UDP: first packet to first answer)
//
//   step of a sample   it ends
//   kSynSent           with the backend's SYN-ACK, which begins kConnected
//   kConnected         with the client's first data, which begins kAsked; after 1 s without data
//   kAsked, kUdpAsked  with the backend's first data after it; UDP: after 1 s without an answer
//
// A TCP sample that has waited 1 s in kAsked is slow: it is counted then, so a server that accepts
// connections and hangs shows within 1 s. TrialCounters count it as slow after TrafficSplit::slow_us. The
// sample goes on until its answer comes or is later than the histogram's bounds.
//
// The flow of an open sample has FlowState::sampled, so it is not steady: all its packets take the slow path,
// and the fast path knows nothing of samples. The table is the worker's own. After a start it is empty, and a
// flow that still has the bit loses it at its next packet on the slow path.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/tick_budget.h"
#include "dataplane/pipeline/trials.h"
#include "dataplane/pipeline/worker_flows.h"
#include "dataplane/shm/segment.h"

namespace teal {

class Samples {
 public:
  static constexpr uint32_t kPerTick = 10;  // samples begin: 1,000 a second
  static constexpr uint32_t kRows = 4096;

  Samples(WorkerFlows& flows, WorkerBlock& block, Trials& trials, uint64_t tsc_hz)
      : flows_(flows), block_(block), trials_(trials), tsc_hz_(tsc_hz), rows_(kRows) {}

  // The time of the packets that follow.
  void set_time(uint64_t now_tsc) { now_tsc_ = now_tsc; }

  // Begins a sample, unless the tick has had its samples. `packet.flow` has just begun.
  void flow_began(const Packet& packet, const Rules& rules, uint32_t now_tick) {
    if (now_tick != used_up_tick_) begin(packet, rules, now_tick);
  }
  // For packets of a flow whose state is `sampled`. They clear the bit in `after` where the sample ends.
  void client_sent(const Packet& packet, FlowState& after);
  void backend_sent(const Packet& packet, FlowState& after, const Rules& rules);

  // Ends samples that have waited for too long. A round over all rows takes 8 ticks.
  void sweep(const Rules& rules, uint64_t now_tsc, uint32_t now_tick);

 private:
  enum class Step : uint8_t { kFree, kSynSent, kConnected, kAsked, kUdpAsked };
  struct Row {
    FlowIndex flow = kNoFlow;
    uint64_t since_tsc = 0;  // of the step
    uint16_t backend = kNoId, service = kNoId;
    Colour colour = Colour::kBlue;
    Step step = Step::kFree;
    bool slow = false;      // it is counted in slow_answers
    bool measured = false;  // it is counted in TrialCounters, or is not to be counted
  };

  [[gnu::noinline]] void begin(const Packet& packet, const Rules& rules, uint32_t now_tick);
  Row& row_of(FlowIndex flow) { return rows_[scale(flow * kMixA, kRows)]; }
  void free(Row& row);
  uint64_t waited_us(const Row& row, uint64_t now_tsc) const;
  void answered(Row& row, const Trials::Subject& flow, FlowState& after, const Rules& rules);
  bool is_over(Row& row, const Trials::Subject& flow, FlowState& after, const Rules& rules, uint64_t now_tsc);
  ServiceTimes& times(const Row& row) { return block_.times[row.service][static_cast<int>(row.colour)]; }
  BackendSignals& signals(const Row& row) {
    return block_.signals[row.backend][static_cast<int>(row.colour)];
  }

  WorkerFlows& flows_;
  WorkerBlock& block_;
  Trials& trials_;
  const uint64_t tsc_hz_;
  uint64_t now_tsc_ = 0;
  TickBudget budget_{kPerTick};
  uint32_t used_up_tick_ = 0;  // a tick that has had its samples
  std::vector<Row> rows_;
  uint32_t open_ = 0;  // rows that are not free
  uint32_t swept_at_tick_ = 0, hand_ = 0;
};

}  // namespace teal
