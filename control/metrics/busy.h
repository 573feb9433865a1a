// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "control/publish/publisher.h"

namespace teal {

// For each worker, the share of the time between the latest two samples that it spent on bursts with packets.
class BusyRatios {
 public:
  void sample(const Publisher& publisher) {
    publisher.for_each_worker([this](uint32_t index, const WorkerBlock& worker) {
      Sample& last = samples_[index];
      const uint64_t busy = worker.status.busy_tsc.read(), total = worker.status.total_tsc.read();
      // A restarted worker counts from 0 again.
      const bool same_life = busy >= last.busy && total > last.total;
      last.ratio =
          same_life ? static_cast<double>(busy - last.busy) / static_cast<double>(total - last.total) : 0;
      last.busy = busy;
      last.total = total;
    });
  }
  double of(uint32_t worker) const { return std::min(samples_[worker].ratio, 1.0); }

 private:
  struct Sample {
    uint64_t busy = 0;
    uint64_t total = 0;
    double ratio = 0;
  };
  std::array<Sample, kWorkerSlots> samples_{};
};

}  // namespace teal
