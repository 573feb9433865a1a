// SPDX-License-Identifier: Apache-2.0
//
// The runs of hooks that are due, in the order of the history. A pure state machine: the caller says the
// time, runs what next() returns, and says how each run ended.
//
//   a run        ended with 0      over
//                ended otherwise   again after a pause; over after kTries
//                was lost          again after a pause; over after kMostLost: teal-health has ended, or hangs
//
// Runs of one service follow each other, also while one pauses: an older run never comes after a newer one.
// So a hook that hangs delays the hooks of its own services, and at most kMaxRunning - 1 others hang with it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <vector>

#include "control/hooks/hook_jobs.h"
#include "control/loop/clock.h"

namespace teal {

enum class HookOutcome : uint8_t { kPassed, kFailed, kLost };

class HookQueue {
 public:
  using Time = Clock::Time;
  static constexpr size_t kMaxRunning = 4;
  static constexpr size_t kMaxChanges = 1024;  // that are not over; then the history waits
  static constexpr uint32_t kTries = 3;
  static constexpr std::array<std::chrono::seconds, kTries - 1> kPauses = {std::chrono::seconds(5),
                                                                           std::chrono::seconds(30)};
  static constexpr std::chrono::seconds kLostPause{5};
  static constexpr uint32_t kMostLost = 5;  // a hook that ends teal-health must not run for ever

  // Forgets everything, and begins after this change.
  void begin_after(int64_t delivered);
  // Adds the runs of the next change of the history; it may have none.
  void add(int64_t change, std::vector<HookJob> jobs);
  // Adds a run that belongs to no change. Returns its key.
  uint64_t add(HookJob job);
  bool has_room() const { return changes_.size() < kMaxChanges; }

  struct Due {
    uint64_t key = 0;
    uint32_t attempt = 0;  // from 1
    HookJob job;
  };
  // Returns a run that may begin now, which counts as running from then on.
  std::optional<Due> next(Time now);
  // Returns whether the run is over.
  bool ended(uint64_t key, HookOutcome outcome, Time now);

  // All runs of the changes up to this history id are over.
  int64_t delivered() const { return delivered_; }
  int64_t last() const { return last_; }  // the latest change that was added
  bool empty() const { return runs_.empty(); }

 private:
  struct Run {
    uint64_t key = 0;
    std::optional<int64_t> change;
    HookJob job;
    uint32_t attempts = 0;  // that have failed
    uint32_t lost = 0;
    bool is_running = false;
    Time not_before{};
  };
  struct Change {
    int64_t id = 0;
    size_t left = 0;  // runs that are not over
  };
  void end_changes();

  std::list<Run> runs_;
  std::deque<Change> changes_;
  int64_t delivered_ = 0, last_ = 0;
  uint64_t next_key_ = 1;
};

}  // namespace teal
