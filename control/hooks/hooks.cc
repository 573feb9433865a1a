// SPDX-License-Identifier: Apache-2.0
#include "control/hooks/hooks.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

namespace teal {

namespace {

constexpr uint32_t kChangesAtOnce = 16;

}  // namespace

Hooks::Hooks(Recorder& recorder, Events& events, const Clock& clock)
    : recorder_(recorder), events_(events), clock_(clock) {
  events_.listen([this](const ToldEvent& event) {
    if (event.type == "done" || event.type == "failed" || event.type == "reloaded") has_news();
  });
}

void Hooks::begin(Means means) {
  means_ = std::move(means);
  had_hooks_ = has_hooks();
  since_ = means_.generation();
}

void Hooks::has_news() {
  if (means_.catalogue) {
    const bool has = has_hooks();
    if (has && !had_hooks_) since_ = means_.generation();
    had_hooks_ = has;
  }
  is_due_ = true;
  if (wake_ != nullptr) wake_->cancel();
}

// It speaks often, and only its coming matters.
void Hooks::prober_has_news() {
  const bool is_connected = means_.is_connected && means_.is_connected();
  if (std::exchange(was_connected_, is_connected) != is_connected && is_connected) has_news();
}

Task<void> Hooks::run() {
  asio::steady_timer wake(co_await asio::this_coro::executor);
  wake_ = &wake;
  for (;;) {
    is_due_ = false;
    co_await look();
    const bool is_idle = is_loaded_ && !has_hooks() && reached() == kept_;
    const Clock::Time until = is_idle ? Clock::Time::max() : clock_.now() + kLookEvery;
    if (!is_due_) co_await clock_.wait(wake, until);
  }
}

Task<std::vector<HookEnd>> Hooks::run_now(std::vector<HookJob> jobs) {
  std::vector<HookJob> asked = jobs;
  std::vector<HookEnd> ends = co_await runner_.run_all(std::move(asked));
  for (size_t i = 0; i < jobs.size(); ++i)
    if (ends[i].outcome != HookOutcome::kPassed) tell_failure(jobs[i], 1, true, ends[i].reason);
  co_return ends;
}

// A config without hooks keeps nothing.
Task<void> Hooks::look() {
  if (!recorder_.is_open()) co_return;
  if (!is_loaded_ && !co_await load()) co_return;
  if (!has_hooks()) {
    is_on_ = false;
    drains_.clear();
    queue_.begin_after(0);
    co_return co_await keep();
  }
  if (!is_on_) {
    const auto latest = co_await recorder_.latest_change(since_);
    if (!latest) co_return note(latest.error());
    queue_.begin_after(*latest);
    is_on_ = true;
  }
  co_await read_history();
  queue_ended_drains();
  start_runs();
  co_await keep();
}

// Says once why hooks do not run.
void Hooks::note(const std::string& problem) {
  if (std::exchange(problem_, problem) != problem) spdlog::error("hooks do not run: {}", problem);
}

Task<bool> Hooks::load() {
  auto memory = co_await recorder_.hook_memory();
  if (!memory) {
    note(memory.error());
    co_return false;
  }
  kept_ = std::move(*memory);
  is_loaded_ = true;
  is_on_ = kept_.delivered.has_value();
  if (is_on_) queue_.begin_after(*kept_.delivered);
  for (const PendingDrain& drain : kept_.drains) drains_.push_back({drain, std::nullopt});
  co_return true;
}

// A change without a result yet holds up those after it.
Task<void> Hooks::read_history() {
  while (queue_.has_room()) {
    const auto changes = co_await recorder_.changes_after(queue_.last(), kChangesAtOnce);
    if (!changes) co_return note(changes.error());
    problem_.clear();
    for (const HistoryRow& change : *changes) {
      if (change.result == "pending" || !queue_.has_room()) co_return;
      take(change);
    }
    if (changes->size() < kChangesAtOnce) co_return;
  }
}

void Hooks::take(const HistoryRow& change) {
  const auto hooks = [this](const std::string& service) { return hooks_of(service); };
  for (PendingDrain& drain : drains_of(change)) {
    const HookCommands* of = hooks_of(drain.service);
    if (of == nullptr || !command_of(*of, Hook::kDrained)) continue;
    const bool is_known = std::any_of(drains_.begin(), drains_.end(), [&](const Drain& one) {
      return one.drain.change == drain.change && one.drain.service == drain.service;
    });
    if (!is_known) drains_.push_back({std::move(drain), std::nullopt});
  }
  queue_.add(change.id, jobs_after(change, hooks));
}

void Hooks::queue_ended_drains() {
  std::map<int64_t, std::vector<PendingDrain>> ended;  // by change
  std::erase_if(drains_, [&](const Drain& one) {
    if (one.key) return false;
    const DrainEnd end = means_.end_of(one.drain);
    if (end == DrainEnd::kDrained) ended[one.drain.change].push_back(one.drain);
    return end != DrainEnd::kDrains;
  });
  const auto hooks = [this](const std::string& service) { return hooks_of(service); };
  for (auto& [change, drains] : ended) {
    for (HookJob& job : drained_jobs(drains, hooks)) {
      const std::vector<std::string> services = job.services;
      const uint64_t key = queue_.add(std::move(job));
      for (PendingDrain& drain : drains)
        if (std::find(services.begin(), services.end(), drain.service) != services.end())
          drains_.push_back({drain, key});
    }
  }
}

void Hooks::start_runs() {
  if (!means_.is_connected()) return;
  while (std::optional<HookQueue::Due> due = queue_.next(clock_.now()))
    means_.spawn(run_due(std::move(*due)));
}

Task<void> Hooks::run_due(HookQueue::Due due) {
  HookJob job = due.job;
  const HookEnd end = co_await runner_.run(std::move(job));
  const bool is_over = queue_.ended(due.key, end.outcome, clock_.now());
  if (is_over) std::erase_if(drains_, [&](const Drain& one) { return one.key == due.key; });
  if (end.outcome == HookOutcome::kFailed || (is_over && end.outcome == HookOutcome::kLost))
    tell_failure(due.job, due.attempt, is_over, end.reason);
  has_news();
}

void Hooks::tell_failure(const HookJob& job, uint32_t attempt, bool is_last, const std::string& why) {
  const char* hook = name_of(job.hook);
  spdlog::warn("the hook {} of {} has failed{}: {}: {}", hook, fmt::join(job.services, ", "),
               is_last ? "" : ", and is tried again", job.run.command.front(), why);
  nlohmann::ordered_json told = {{"hook", hook},
                                 {"command", job.run.command.front()},
                                 {"attempt", attempt},
                                 {"last", is_last},
                                 {"text", why}};
  told.update(counted_list("members", job.services));
  events_.tell("hook_failed", std::move(told));
}

// A commit that fails is tried again at the next look. Until then a restart would run hooks again.
Task<void> Hooks::keep() {
  HookMemory memory = reached();
  if (memory == kept_) co_return;
  HookMemory written = memory;
  const State::Done done = co_await recorder_.keep(std::move(written));
  if (done) kept_ = std::move(memory);
}

HookMemory Hooks::reached() const {
  HookMemory memory;
  if (!is_on_) return memory;
  memory.delivered = queue_.delivered();
  for (const Drain& one : drains_) memory.drains.push_back(one.drain);
  return memory;
}

const HookCommands* Hooks::hooks_of(const std::string& service) const {
  const CatalogueService* known = means_.catalogue().find(service);
  return known == nullptr ? nullptr : &known->config->rules.hooks;
}

bool Hooks::has_hooks() const {
  const std::vector<ServiceConfig>& services = means_.catalogue().config().services;
  return std::any_of(services.begin(), services.end(), [](const ServiceConfig& service) {
    const HookCommands& hooks = service.rules.hooks;
    return std::any_of(hooks.begin(), hooks.end(), [](const auto& hook) { return hook.has_value(); });
  });
}

}  // namespace teal
