// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/health/health_messages.h"
#include "control/hooks/hook_jobs.h"
#include "control/hooks/hook_queue.h"
#include "control/loop/clock.h"
#include "control/loop/semaphore.h"

namespace teal {

// Not an aggregate: GCC 12 copies such a temporary byte by byte into a coroutine's frame.
struct HookEnd {
  HookEnd(HookOutcome how, std::string why) : outcome(how), reason(std::move(why)) {}
  HookOutcome outcome;
  std::string reason;  // empty: it passed
};

// The ends of hooks while nothing can run them.
Task<std::vector<HookEnd>> run_no_hooks(std::vector<HookJob> jobs);

// Lets teal-health run hooks, and waits for their ends.
class HookRunner {
 public:
  // As HealthLink::order().
  using Order = std::function<bool(HookOrder, std::function<void(std::optional<HookDone>)>)>;
  // As many as teal-health runs at once. So a command begins when it is ordered, and no later than kGrace.
  static constexpr uint32_t kMaxOrders = 16;
  // teal-health tells of an end within this time after the hook's timeout.
  static constexpr std::chrono::seconds kGrace{5};

  explicit HookRunner(const Clock& clock) : clock_(clock) {}

  // Until then, no prober is connected.
  void order_with(Order order) { order_ = std::move(order); }

  Task<HookEnd> run(HookJob job);
  // Runs all jobs at the same time. The ends are in the order of the jobs.
  Task<std::vector<HookEnd>> run_all(std::vector<HookJob> jobs);

  // To be called before the io_context of the callers is destroyed.
  void abandon() { places_.abandon(); }

 private:
  struct Waiter;
  struct All;
  Task<void> run_one(HookJob job, std::shared_ptr<All> all, size_t index);

  const Clock& clock_;
  Semaphore places_{kMaxOrders};
  Order order_ = [](const HookOrder&, const auto&) { return false; };
};

}  // namespace teal
