// SPDX-License-Identifier: Apache-2.0
//
// A clock hand goes round the worker's buckets at a steady pace, a few per iteration. It ends the flows whose
// timeout is over, and begins and carries on with those that are to be reset (reset.h). A round takes 1 s,
// and longer for a large table.
//
// The entries of a bucket are looked at only when it is due: when by its flows' states one of them may have
// to be ended or probed. Most flows are used again before that, so a round reads little more than a line a
// bucket. Who changes a flow such that it may end earlier brings its bucket forward (track.cc). After a start
// and after each publication one round looks at all: new rules may shorten a timeout or ask for resets.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/reset.h"
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

class Sweeper {
 public:
  static constexpr uint64_t kBucketsPerSecond = 100'000;  // at most
  static constexpr uint32_t kMaxAtOnce = 256;             // buckets an iteration

  // What `resetter` has to send it puts into `probes`.
  Sweeper(WorkerFlows& flows, Resetter& resetter, const Burst& probes, WorkerBlock& block, uint64_t tsc_hz)
      : flows_(flows),
        resetter_(resetter),
        probes_(probes),
        block_(block),
        hand_(flows.first_bucket()),
        tsc_per_bucket_(tsc_hz / std::clamp<uint64_t>(flows.end_bucket() - hand_, 1, kBucketsPerSecond)) {}

  void sweep(const Rules& rules, uint64_t now_tsc, uint32_t now_tick);
  // In the round after a start or a publication.
  bool looks_at_all() const { return all_are_due_ > 0; }

 private:
  void look_into(uint64_t bucket, const Rules& rules, uint64_t now_tsc, uint32_t now_tick);
  void treat(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc, uint32_t now_tick);
  bool probes_have_room() const {
    return probes_.count + FlowTable::kSlots * Resetter::kProbesOfAFlow <= Burst::kCapacity;
  }

  WorkerFlows& flows_;
  Resetter& resetter_;
  const Burst& probes_;
  WorkerBlock& block_;
  uint64_t hand_;  // bucket
  uint64_t tsc_per_bucket_;
  uint64_t swept_until_tsc_ = 0;
  uint64_t generation_ = ~uint64_t{0};
  uint64_t all_are_due_ = 0;  // for so many buckets more, as the generation is new
};

}  // namespace teal
