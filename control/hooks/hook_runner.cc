// SPDX-License-Identifier: Apache-2.0
#include "control/hooks/hook_runner.h"

#include <memory>

#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>

namespace teal {

namespace {
constexpr const char* kNoProber = "no teal-health answers";
}

Task<std::vector<HookEnd>> run_no_hooks(std::vector<HookJob> jobs) {
  std::vector<HookEnd> ends(jobs.size(), HookEnd(HookOutcome::kLost, kNoProber));
  co_return ends;
}

struct HookRunner::Waiter {
  explicit Waiter(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  bool is_over = false;
  std::optional<HookDone> done;  // nothing: the prober is gone
};

struct HookRunner::All {
  explicit All(const asio::any_io_executor& executor)
      : timer(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer timer;
  std::vector<HookEnd> ends;
  size_t left = 0;
};

Task<HookEnd> HookRunner::run(HookJob job) {
  const Semaphore::Permit place = co_await places_.acquire();
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto waiter = std::make_shared<Waiter>(executor);
  const Clock::Time until = clock_.now() + job.run.timeout + kGrace;
  HookOrder order{.hook = job.hook,
                  .run = std::move(job.run),
                  .input = std::move(job.input),
                  .not_after_ms = clock_.steady_ms() + std::chrono::milliseconds(kGrace).count()};
  const bool is_ordered = order_(std::move(order), [waiter](std::optional<HookDone> done) {
    waiter->is_over = true;
    waiter->done = std::move(done);
    waiter->timer.cancel();
  });
  if (!is_ordered) co_return HookEnd(HookOutcome::kLost, kNoProber);
  if (!waiter->is_over) co_await clock_.wait(waiter->timer, until);
  if (!waiter->is_over)
    co_return HookEnd(HookOutcome::kLost, "teal-health does not tell of the end of the hook");
  if (!waiter->done) co_return HookEnd(HookOutcome::kLost, "teal-health has ended before the hook did");
  if (waiter->done->passed) co_return HookEnd(HookOutcome::kPassed, "");
  co_return HookEnd(HookOutcome::kFailed, waiter->done->reason);
}

Task<void> HookRunner::run_one(HookJob job, std::shared_ptr<All> all, size_t index) {
  HookEnd end = co_await run(std::move(job));
  all->ends[index] = std::move(end);
  if (--all->left == 0) all->timer.cancel();
}

Task<std::vector<HookEnd>> HookRunner::run_all(std::vector<HookJob> jobs) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto all = std::make_shared<All>(executor);
  all->left = jobs.size();
  all->ends.assign(jobs.size(), HookEnd(HookOutcome::kFailed, "it was not run"));
  for (size_t i = 0; i < jobs.size(); ++i)
    asio::co_spawn(executor, run_one(std::move(jobs[i]), all, i), [all](const std::exception_ptr& thrown) {
      if (!thrown) return;
      spdlog::error("a hook was not run: an exception");
      if (--all->left == 0) all->timer.cancel();
    });
  while (all->left != 0) {
    boost::system::error_code cancelled;
    co_await all->timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
  co_return std::move(all->ends);
}

}  // namespace teal
