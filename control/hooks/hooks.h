// SPDX-License-Identifier: Apache-2.0
//
// Runs the hooks of the config (docs/rollouts.md).
//
// pre_flip runs for a waiting request (run_now). The other hooks follow the history: each change
// that was published has an id there, and its hooks run at least once. The database keeps the id up to which
// they have run, so a teald that was killed goes on. A config without hooks keeps none: hooks that a reload
// adds hear of later changes only.
//
//   history      41 flip     42 lock    43 step
//   runs         post_flip   -          step
//   delivered    40 ... 41 ............ 42 ... 43
//
// drained waits for the end of a drain, which has no row of its own in the history. The database keeps the
// drains that it waits for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/hooks/hook_jobs.h"
#include "control/hooks/hook_queue.h"
#include "control/hooks/hook_runner.h"
#include "control/loop/events.h"
#include "control/state/catalogue.h"
#include "control/state/recorder.h"

namespace teal {

class Hooks {
 public:
  static constexpr std::chrono::milliseconds kLookEvery{1000};

  enum class DrainEnd : uint8_t {
    kDrains,   // flows are left, or nobody knows
    kDrained,  // the last flow has ended
    kNever,    // another flip, or a reload, ended the drain
  };
  struct Means {
    std::function<const Catalogue&()> catalogue;
    std::function<uint64_t()> generation;  // of the latest publication
    std::function<DrainEnd(const PendingDrain&)> end_of;
    std::function<bool()> is_connected;  // a teal-health that is not silent
    std::function<void(Task<void>)> spawn;
  };

  Hooks(Recorder& recorder, Events& events, const Clock& clock);

  // To be called before the first change. The objects behind `means` outlive the io_context of run().
  void begin(Means means);
  // Runs for ever.
  Task<void> run();
  // There is something to do: a change, another config, or a hook that has ended.
  void has_news();
  // To be called when a prober came, went or spoke.
  void prober_has_news();

  // Runs hooks for a caller that waits. The ends are in the order of the jobs.
  Task<std::vector<HookEnd>> run_now(std::vector<HookJob> jobs);
  void order_with(HookRunner::Order order) { runner_.order_with(std::move(order)); }

  // To be called before the io_context of run() is destroyed.
  void abandon() {
    wake_ = nullptr;
    runner_.abandon();
  }

 private:
  struct Drain {
    PendingDrain drain;
    std::optional<uint64_t> key;  // of its run; nothing: it has flows
  };

  Task<void> look();
  Task<bool> load();
  void note(const std::string& problem);
  Task<void> read_history();
  void take(const HistoryRow& change);
  void queue_ended_drains();
  void start_runs();
  Task<void> run_due(HookQueue::Due due);
  void tell_failure(const HookJob& job, uint32_t attempt, bool is_last, const std::string& why);
  Task<void> keep();
  HookMemory reached() const;
  const HookCommands* hooks_of(const std::string& service) const;
  bool has_hooks() const;

  Recorder& recorder_;
  Events& events_;
  const Clock& clock_;
  HookRunner runner_{clock_};
  Means means_;
  HookQueue queue_;
  std::vector<Drain> drains_;
  bool is_loaded_ = false, is_on_ = false;
  bool had_hooks_ = false, was_connected_ = false;
  uint64_t since_ = 0;  // hooks hear of changes with a greater generation
  HookMemory kept_;     // what the disk has
  std::string problem_;
  bool is_due_ = true;
  asio::steady_timer* wake_ = nullptr;
};

}  // namespace teal
