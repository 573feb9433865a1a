// SPDX-License-Identifier: Apache-2.0
#include "control/prober/probe.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>

#include "dataplane/config/config_reader.h"

namespace teal {

namespace {

Clock::Time rounded_up(Clock::Time time) {
  const Clock::Time::duration step = Probe::kTogether;
  return Clock::Time((time.time_since_epoch() + step - Clock::Time::duration(1)) / step * step);
}

}  // namespace

Probe::Probe(CheckOrder order, Means& means, asio::any_io_executor executor)
    : order_(std::move(order)),
      means_(means),
      executor_(std::move(executor)),
      timer_(executor_),
      state_(order_.check.rise, order_.check.fall, order_.up, means.clock.now()) {}

void Probe::start() {
  asio::co_spawn(executor_, run(shared_from_this()), [](const std::exception_ptr& thrown) {
    if (!thrown) return;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {  // no memory: a new start is better than a backend without checks
      spdlog::critical("a check has failed: {}", error.what());
      std::_Exit(1);
    }
  });
}

void Probe::stop() {
  is_stopped_ = true;
  timer_.cancel();
}

void Probe::hurry() {
  is_hurried_ = true;
  if (!is_checking_) timer_.cancel();
}

Task<void> Probe::run(std::shared_ptr<Probe> self) {
  const Clock& clock = self->means_.clock;
  const std::chrono::duration<double> interval = self->order_.check.interval;
  const auto part = [&](double factor) {
    return std::chrono::duration_cast<Clock::Time::duration>(interval * factor);
  };
  Clock::Time due = clock.now() + part(self->means_.random());
  while (!self->is_stopped_) {
    const Clock::Time moment = rounded_up(due);
    if (!self->is_hurried_) co_await clock.wait(self->timer_, moment);
    if (self->is_stopped_) co_return;
    const Clock::Time begun = clock.now();
    if (std::exchange(self->is_hurried_, false)) self->was_told_ = false;
    self->is_checking_ = true;
    const CheckResult result = co_await self->means_.check(self->order_);
    self->is_checking_ = false;
    if (self->is_stopped_) co_return;
    self->take(result);
    if (self->is_hurried_) {
      due = clock.now();
      continue;
    }
    const double jitter = 1.0 - kJitter + 2 * kJitter * self->means_.random();
    due = std::max(begun + part(jitter), clock.now());
  }
}

void Probe::take(const CheckResult& result) {
  if (result.outcome == CheckResult::Outcome::kNotMade) return warn(result.reason);
  const Clock::Time now = means_.clock.now();
  passed_ = result.outcome == CheckResult::Outcome::kPassed;
  const bool turned = state_.take(*passed_, now);
  if (turned) turned_ms_ = means_.clock.wall_ms();
  if (!*passed_)
    reason_ = clean_reason(result.reason);
  else if (state_.up() == true)
    reason_.clear();
  else if (state_.is_held(now))
    reason_ = fmt::format("passes its checks, and is held down for {}: it has gone down {} times",
                          duration_text(std::chrono::duration_cast<std::chrono::milliseconds>(state_.hold())),
                          state_.falls());
  tell(turned);
}

// A host that lacks something lacks it for all probes.
void Probe::warn(const std::string& reason) const {
  const Clock::Time now = means_.clock.now();
  if (now < means_.warn_next) {
    ++means_.unlogged;
    return;
  }
  const uint64_t others = std::exchange(means_.unlogged, 0);
  spdlog::warn("{} of {} was not checked: {}{}", to_string(order_.address), order_.service, reason,
               others == 0 ? "" : fmt::format("; {} checks before it were not made either", others));
  means_.warn_next = now + kWarnEvery;
}

void Probe::report_as(uint64_t revision) {
  told_.revision = revision;
  was_told_ = false;
  tell(true);
}

void Probe::tell(bool at_once) {
  if (!state_.up() || !passed_) return;
  HealthReport report{.revision = told_.revision,
                      .backend = order_.backend,
                      .up = *state_.up(),
                      .passed = *passed_,
                      .reason = reason_,
                      .at_ms = turned_ms_};
  if (was_told_ && report == told_) return;
  const Clock::Time now = means_.clock.now();
  if (was_told_ && !at_once && now < told_at_ + kTellEvery) return;
  means_.report(report);
  told_ = std::move(report);
  was_told_ = true;
  told_at_ = now;
}

}  // namespace teal
