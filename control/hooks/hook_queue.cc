// SPDX-License-Identifier: Apache-2.0
#include "control/hooks/hook_queue.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace teal {

void HookQueue::begin_after(int64_t delivered) {
  runs_.clear();
  changes_.clear();
  delivered_ = last_ = delivered;
}

void HookQueue::add(int64_t change, std::vector<HookJob> jobs) {
  changes_.push_back({change, jobs.size()});
  last_ = change;
  for (HookJob& job : jobs) runs_.push_back({.key = next_key_++, .change = change, .job = std::move(job)});
  end_changes();
}

uint64_t HookQueue::add(HookJob job) {
  runs_.push_back({.key = next_key_, .change = std::nullopt, .job = std::move(job)});
  return next_key_++;
}

std::optional<HookQueue::Due> HookQueue::next(Time now) {
  const auto running =
      std::count_if(runs_.begin(), runs_.end(), [](const Run& run) { return run.is_running; });
  if (static_cast<size_t>(running) >= kMaxRunning) return std::nullopt;
  std::unordered_set<std::string_view> busy;
  for (Run& run : runs_) {
    const auto& services = run.job.services;
    const bool pauses = run.not_before > now;
    const bool is_free = std::none_of(services.begin(), services.end(),
                                      [&](const std::string& service) { return busy.contains(service); });
    if (!run.is_running && !pauses && is_free) {
      run.is_running = true;
      return Due{run.key, run.attempts + 1, run.job};
    }
    busy.insert(services.begin(), services.end());
  }
  return std::nullopt;
}

bool HookQueue::ended(uint64_t key, HookOutcome outcome, Time now) {
  const auto run = std::find_if(runs_.begin(), runs_.end(), [&](const Run& one) { return one.key == key; });
  if (run == runs_.end()) return true;
  run->is_running = false;
  if (outcome == HookOutcome::kLost && ++run->lost < kMostLost) {
    run->not_before = now + kLostPause;
    return false;
  }
  if (outcome == HookOutcome::kFailed && ++run->attempts < kTries) {
    run->not_before = now + kPauses[run->attempts - 1];
    return false;
  }
  if (run->change) {
    const auto of = std::find_if(changes_.begin(), changes_.end(),
                                 [&](const Change& change) { return change.id == *run->change; });
    if (of != changes_.end()) --of->left;
  }
  runs_.erase(run);
  end_changes();
  return true;
}

void HookQueue::end_changes() {
  while (!changes_.empty() && changes_.front().left == 0) {
    delivered_ = changes_.front().id;
    changes_.pop_front();
  }
}

}  // namespace teal
