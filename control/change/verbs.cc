// SPDX-License-Identifier: Apache-2.0
#include "control/change/verbs.h"

#include <fmt/format.h>

#include "control/change/change_lock.h"
#include "control/change/reload.h"

namespace teal {

Verbs::Verbs(ChangeExecutor& executor, Upkeep& upkeep, Recorder& recorder, Publisher& publisher,
             const Clock& clock)
    : executor_(executor),
      upkeep_(upkeep),
      recorder_(recorder),
      publisher_(publisher),
      clock_(clock),
      stamp_(FileStamp::of(executor.catalogue().config().path)),
      loaded_at_ms_(clock.wall_ms()) {}

Task<Verbs::Result> Verbs::change(ChangeOptions options, Planner plan) {
  const ChangeExecutor::Turn turn = co_await executor_.turn();
  (void)co_await upkeep_.follow_segment(turn);
  Planned planned = co_await plan();
  if (!planned) co_return tl::unexpected(planned.error());
  co_return co_await executor_.execute(turn, std::move(*planned), std::move(options));
}

Task<Verbs::Result> Verbs::roll(RolloutRequest request, ChangeOptions options) {
  Planner plan = [this, request = std::move(request)] { return plan_roll(request); };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<Verbs::Planned> Verbs::plan_roll(RolloutRequest request) {
  RolloutView view = view_of(executor_.catalogue());
  if (request.to_generation) {
    const auto looked = co_await look_back(*request.to_generation, view);
    if (!looked) co_return tl::unexpected(looked.error());
  }
  const tl::expected<RolloutPlan, Refusal> plan = plan_rollout(request, view);
  if (!plan) co_return tl::unexpected(plan.error());
  co_return change_of(*plan, request.verb, executor_.catalogue());
}

// Fills in the active colours at that generation.
Task<tl::expected<void, Refusal>> Verbs::look_back(uint64_t generation, RolloutView& view) {
  const auto flips = co_await recorder_.flips_since(generation);
  if (!flips) co_return tl::unexpected(Refusal{503, "storage", flips.error(), "teal rollback SERVICE", {}});
  if (!*flips)
    co_return tl::unexpected(
        Refusal{404,
                "unknown_generation",
                fmt::format("the history has no publication of generation {}", generation),
                "teal history",
                {}});
  const auto colours = colours_before(**flips);
  for (RolloutService& service : view.services)
    if (const auto then = colours.find(service.name); then != colours.end()) service.back_then = then->second;
  co_return tl::expected<void, Refusal>();
}

Task<Verbs::Result> Verbs::set_drain(DrainRequest request, ChangeOptions options) {
  Planner plan = [this, request = std::move(request)]() -> Task<Planned> {
    co_return plan_drain(request, view_of(executor_.catalogue()), executor_.catalogue());
  };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<Verbs::Result> Verbs::set_backend(BackendRequest request, ChangeOptions options) {
  Planner plan = [this, request = std::move(request)]() -> Task<Planned> {
    co_return plan_backend(request, executor_.catalogue(), publisher_);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<Verbs::Result> Verbs::reload(ChangeOptions options) {
  const bool dry_run = options.dry_run;
  const std::string path = executor_.catalogue().config().path;
  FileStamp stamp = FileStamp::of(path);  // taken before the file is read: a later edit is a difference
  Planner plan = [this, path]() -> Task<Planned> {
    auto read = [path] { return read_config_file(path); };
    const auto file = co_await recorder_.run(std::move(read));
    co_return plan_reload(file, executor_.catalogue(), publisher_);
  };
  Result result = co_await change(std::move(options), std::move(plan));
  if (result && !dry_run) {
    stamp_ = std::move(stamp);
    loaded_at_ms_ = clock_.wall_ms();
  }
  co_return result;
}

Task<Verbs::Result> Verbs::lock(ChangeOptions options) {
  const std::string user = co_await recorder_.user_name(options.uid);
  Planner plan =
      [this, wanted = ChangeLock{options.uid, user, options.reason, clock_.wall_ms()}]() -> Task<Planned> {
    co_return plan_lock(wanted, executor_.catalogue().inventory().lock);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<Verbs::Result> Verbs::unlock(ChangeOptions options) {
  Planner plan = [this]() -> Task<Planned> { co_return plan_unlock(executor_.catalogue().inventory().lock); };
  co_return co_await change(std::move(options), std::move(plan));
}

}  // namespace teal
