// SPDX-License-Identifier: Apache-2.0
//
// A clock hand goes round the worker's buckets at a steady pace, a few buckets per iteration. It ends the
// flows whose timeout is over, resets the flows that the rules ask to reset (reset.h), asks again about flows
// that may be over (ask.h), and counts flows whose backend has not answered for 1 s (signals.h). A round
// takes 1 s, and longer for a table of more than 100,000 buckets.
//
// The sweep looks into a bucket only when the bucket is due: at the tick at which one of its flows may have
// to end or to be probed, as its state stands. Most flows are used again before that, so a round reads little
// more than one line of each bucket. A change that may end a flow earlier brings its bucket forward
// (WorkerFlows::change()). After a start, a publication and a change of health, one round looks into all
// buckets: new rules may shorten a timeout, and both may ask for resets.
//
// Flows that began lately are marked beside the tags (FlowTable::young()). Each round looks at these flows
// alone, until their outcome is known. Looking into a whole bucket takes some 1,000 cycles.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/pipeline/ask.h"
#include "dataplane/pipeline/reset.h"
#include "dataplane/pipeline/signals.h"
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

class Sweeper {
 public:
  static constexpr uint64_t kBucketsPerSecond = 100'000;  // at most
  static constexpr uint32_t kMaxAtOnce = 256;             // buckets an iteration

  // `resetter` and `asks` send by `probes`.
  Sweeper(WorkerFlows& flows, Resetter& resetter, Asks& asks, Signals& signals, const Probes& probes,
          const SegmentHeader& header, WorkerBlock& block)
      : flows_(flows),
        resetter_(resetter),
        asks_(asks),
        signals_(signals),
        probes_(probes),
        header_(header),
        block_(block),
        hand_(flows.first_bucket()),
        tsc_per_bucket_(header.tsc_hz /
                        std::clamp<uint64_t>(flows.end_bucket() - hand_, 1, kBucketsPerSecond)) {}

  void sweep(const Rules& rules, uint64_t now_tsc, uint32_t now_tick);
  // Whether this is the round after a start, a publication or a change of health.
  bool looks_at_all() const { return all_are_due_ > 0; }

 private:
  void look_at_young(uint64_t bucket, const Rules& rules, uint32_t now_tick);
  void look_into(uint64_t bucket, const Rules& rules, uint64_t now_tsc, uint32_t now_tick);
  void treat(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc, uint32_t now_tick);
  uint64_t after(uint64_t bucket) const {
    return bucket + 1 == flows_.end_bucket() ? flows_.first_bucket() : bucket + 1;
  }
  bool probes_have_room() const {
    return probes_.have_room_for(FlowTable::kSlots * Resetter::kProbesOfAFlow);
  }

  WorkerFlows& flows_;
  Resetter& resetter_;
  Asks& asks_;
  Signals& signals_;
  const Probes& probes_;
  const SegmentHeader& header_;
  WorkerBlock& block_;
  uint64_t hand_;  // bucket
  uint64_t tsc_per_bucket_;
  uint64_t swept_until_tsc_ = 0;
  uint64_t generation_ = ~uint64_t{0};
  uint64_t health_changes_ = 0;
  uint64_t all_are_due_ = 0;  // so many further buckets: the generation or the health is new
};

}  // namespace teal
