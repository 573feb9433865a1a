// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/samples.h"

namespace teal {
namespace {

constexpr uint64_t kSecondUs = 1'000'000;
constexpr uint64_t kLongestUs = uint64_t{1} << (TimeHistogram::kBounds - 1);
constexpr uint32_t kRowsOfATick = Samples::kRows / 8;

}  // namespace

// The row of a flow is free, or its sample is slow and may go: the outcome is counted. Any other sample
// stays, and this flow is not sampled. A row with this very index is of a flow that has ended.
void Samples::begin(const Packet& packet, const Rules& rules, uint32_t now_tick) {
  if (!budget_.take(now_tick)) {
    used_up_tick_ = now_tick;
    return;
  }
  const FlowIndex flow = packet.flow;
  Row& row = row_of(flow);
  if (row.step != Step::kFree && row.flow != flow && !(row.slow && row.measured)) return;
  if (row.step == Step::kFree) ++open_;
  const FlowState before = flows_.table().state(flow);
  row = {.flow = flow,
         .since_tsc = now_tsc_,
         .backend = packet.backend,
         .service = packet.key.service,
         .colour = before.colour(),
         .step = before.flags & kFlowUdp ? Step::kUdpAsked : Step::kSynSent};
  FlowState after = before;
  after.sampled = 1;
  flows_.change(flow, before, after, rules);
}

void Samples::free(Row& row) {
  row = {};
  --open_;
}

uint64_t Samples::waited_us(const Row& row, uint64_t now_tsc) const {
  return now_tsc <= row.since_tsc ? 0 : (now_tsc - row.since_tsc) * 1'000'000 / tsc_hz_;
}

void Samples::client_sent(const Packet& packet, FlowState& after) {
  Row& row = row_of(packet.flow);
  if (row.flow != packet.flow) {
    after.sampled = 0;
  } else if (packet.shape.tcp_flags & kTcpRst) {
    free(row);
    after.sampled = 0;
  } else if (row.step == Step::kConnected && packet.shape.payload_bytes > 0) {
    row.step = Step::kAsked;
    row.since_tsc = now_tsc_;
  }
}

void Samples::backend_sent(const Packet& packet, FlowState& after, const Rules& rules) {
  Row& row = row_of(packet.flow);
  if (row.flow != packet.flow) {
    after.sampled = 0;
    return;
  }
  const bool ends = packet.shape.tcp_flags & (kTcpRst | kTcpFin);
  if (row.step == Step::kSynSent && (packet.shape.tcp_flags & kTcpSyn) != 0 && !ends) {
    times(row).handshake.count(waited_us(row, now_tsc_));
    row.step = Step::kConnected;
    row.since_tsc = now_tsc_;
    return;
  }
  const bool data = packet.shape.payload_bytes > 0 && (packet.shape.tcp_flags & kTcpRst) == 0;
  if (row.step == Step::kUdpAsked || (row.step == Step::kAsked && data))
    answered(row, trials_.subject(packet), after, rules);
  else if (!ends)
    return;
  free(row);
  after.sampled = 0;
}

void Samples::answered(Row& row, const Trials::Subject& flow, FlowState& after, const Rules& rules) {
  const uint64_t us = waited_us(row, now_tsc_);
  times(row).first_answer.count(us);
  if (row.step == Step::kUdpAsked) return;
  if (!row.measured) trials_.measured(flow, after, rules, us);
  if (row.slow) return;
  BackendSignals& counts = signals(row);
  (us < kSecondUs ? counts.prompt_answers : counts.slow_answers).add(1);
}

// Counts what the time alone decides. Returns true if the sample ends.
bool Samples::is_over(Row& row, const Trials::Subject& flow, FlowState& after, const Rules& rules,
                      uint64_t now_tsc) {
  const uint64_t us = waited_us(row, now_tsc);
  switch (row.step) {
    case Step::kConnected:
    case Step::kUdpAsked:
      return us >= kSecondUs;
    case Step::kAsked:
      if (us >= kSecondUs && !row.slow) {
        row.slow = true;
        signals(row).slow_answers.add(1);
      }
      if (!row.measured && Trials::is_slow(us, rules.splits.services[row.service])) {
        row.measured = true;
        trials_.measured(flow, after, rules, us);
      }
      if (us <= kLongestUs) return false;
      times(row).first_answer.count(us);
      return true;
    case Step::kSynSent:
    case Step::kFree:
      break;
  }
  return us > kLongestUs;
}

void Samples::sweep(const Rules& rules, uint64_t now_tsc, uint32_t now_tick) {
  if (open_ == 0 || now_tick == swept_at_tick_) return;
  swept_at_tick_ = now_tick;
  for (uint32_t i = 0; i < kRowsOfATick; ++i) {
    Row& row = rows_[hand_];
    hand_ = (hand_ + 1) % kRows;
    if (row.step == Step::kFree) continue;
    const std::optional<Flow> flow = flows_.table().read(row.flow);
    if (!flow || flow->state.sampled == 0 || flow->backend != row.backend) {
      free(row);  // the flow has ended
      continue;
    }
    const FlowIndex index = row.flow;
    FlowState after = flow->state;
    if (is_over(row, Trials::subject(*flow, rules), after, rules, now_tsc)) {
      after.sampled = 0;
      free(row);
    }
    flows_.change(index, flow->state, after, rules);
  }
}

}  // namespace teal
