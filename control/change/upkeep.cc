// SPDX-License-Identifier: Apache-2.0
//
// The ChangeExecutor's work that nobody asks for: it follows the segment, ends drains at their deadline, and
// lets go of what no flow holds any more.
#include <algorithm>
#include <chrono>

#include <unistd.h>

#include <spdlog/spdlog.h>

#include "control/change/executor.h"
#include "control/loop/wall_clock.h"
#include "control/publish/adoption.h"
#include "control/publish/ruleset_builder.h"
#include "dataplane/shm/tsc_clock.h"

namespace teal {

namespace {

using Clock = std::chrono::steady_clock;

int64_t elapsed_us(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
}

}  // namespace

bool ChangeExecutor::steered() const {
  const std::shared_ptr<Segment> segment = publisher_.segment();
  return segment != nullptr && segment->header().steering.load(std::memory_order_relaxed) != 0;
}

Task<tl::expected<void, std::string>> ChangeExecutor::follow_segment() {
  const AsyncMutex::Guard guard = co_await mutex_.lock();
  tl::expected<void, std::string> followed = co_await follow_segment_locked();
  if (followed) co_await reset_overdue();
  co_return followed;
}

Task<tl::expected<void, std::string>> ChangeExecutor::follow_segment_locked() {
  const tl::expected<Publisher::News, std::string> news = publisher_.refresh();
  if (!news) co_return tl::unexpected(news.error());
  const bool anew = news->new_segment || everything_due_;
  if (anew) co_await publish_everything(news->new_segment ? "a new segment" : "a start of teald");
  if (anew || news->dataplane_started) {
    if (steered()) steering_.add();
    hops_needed_();
  }
  co_return tl::expected<void, std::string>();
}

Task<void> ChangeExecutor::publish_everything(std::string why) {
  everything_due_ = false;
  if (!publisher_.attached()) co_return;
  if (publisher_.splits() != nullptr) {
    Inventory inventory = catalogue_.inventory();
    if (!learn_splits(inventory, publisher_.generation(), *publisher_.splits(), now_ticks(), wall_clock_ms())
             .empty()) {
      catalogue_.replace(std::move(inventory));
      save_due_ = true;
    }
  }

  const auto rules = std::make_unique<Ruleset>();
  const tl::expected<void, std::string> built =
      build_ruleset(ruleset_input(catalogue_.inventory(), catalogue_.config()), *rules);
  if (!built) {  // the start tried it with the same pools
    spdlog::error("cannot build the ruleset: {}", built.error());
    co_return;
  }
  const auto splits = std::make_unique<TrafficSplits>(make_splits(
      catalogue_.inventory(), catalogue_.config(), publisher_.splits(), now_ticks(), wall_clock_ms()));
  const bool is_published = publisher_.generation() != 0 && same_rules(*rules, *publisher_.ruleset()) &&
                            same_splits(catalogue_.inventory(), *splits, *publisher_.splits());

  const Clock::time_point begin = Clock::now();
  tl::expected<int64_t, std::string> intended = tl::unexpected(std::string());
  nlohmann::ordered_json told = {
      {"generation", publisher_.generation()}, {"verb", "publish"}, {"reason", why}};
  if (!is_published) {
    const uint64_t generation = next_generation();
    told["generation"] = generation;
    Intent intent{generation, "publish", "[]", why, {getuid(), ""}};
    intended = co_await recorder_.intend(std::move(intent), nullptr);
    if (!intended) spdlog::error("publish: {}", intended.error());  // forwarding does not wait for a disk
    events_.tell("intended", told);
    if (steered()) steering_.add();
    std::function<bool()> attempt = [&] { return publisher_.publish_all(generation, *rules, *splits); };
    const bool published = co_await with_a_free_slot(std::move(attempt));
    if (!published) {
      spdlog::error("publish: no slot became free within 2 s: a worker is stalled; trying again");
      if (intended)
        (void)co_await recorder_.finish(*intended, Outcome::kNotPublished, elapsed_us(begin), "no free slot",
                                        {}, {});
      events_.tell("failed", told);
      everything_due_ = true;
      co_return;
    }
    catalogue_.set_generations(generation, generation);
    events_.tell("published", told);
  }

  const Watch watch = co_await watch_adoption(publisher_);
  if (watch.adoption.complete()) {
    publisher_.acknowledge(publisher_.generation());
    if (!is_published) events_.tell("adopted", told);
  }
  spdlog::info("generation {} {} ({}): {} of {} workers", publisher_.generation(),
               is_published ? "is published" : "published", why, watch.adoption.adopted, watch.adoption.live);
  if (!is_published) {
    const Outcome outcome = watch.adoption.complete() ? Outcome::kDone : Outcome::kAdoptionTimeout;
    if (intended) {
      const State::Done done = co_await recorder_.finish(*intended, outcome, elapsed_us(begin), why, {}, {});
      if (!done) spdlog::error("publish: {}", done.error());
    }
    events_.tell(watch.adoption.complete() ? "done" : "failed", told);
  }
}

// A drain that ends with "reset" does so by a publication like any other: workers act on it as they sweep.
Task<void> ChangeExecutor::reset_overdue() {
  if (!publisher_.attached() || !publisher_.dataplane_running()) co_return;
  Change change = overdue_resets(catalogue_, publisher_, now_ticks());
  if (change.empty()) co_return;
  change.despite_disk = true;
  ChangeOptions options{.reason = "the deadline of the drain is over", .uid = getuid()};
  (void)co_await carry_out(std::move(change), std::move(options));  // it logs; the next look tries again
}

Task<void> ChangeExecutor::tidy() {
  const AsyncMutex::Guard guard = co_await mutex_.lock();
  file_differs_ = stamp_.differs();
  trends_.sample(catalogue_, publisher_, Clock::now());
  tell_of_drains();
  if (!publisher_.grace_period_over()) co_return;
  if (steered() && steering_.cleanup_due()) steering_.clean_up();
  if (save_due_) {
    const State::Done saved = co_await recorder_.save(catalogue_.inventory());
    save_due_ = !saved;
    if (!saved) spdlog::error("cannot save the ids: {}", saved.error());
  }
  if (catalogue_.inventory().has_retired()) co_await let_go_of_retired();
}

void ChangeExecutor::tell_of_drains() {
  for (const uint16_t id : trends_.drained()) {
    const ServiceState* service = catalogue_.service(id);
    if (service == nullptr) continue;
    events_.tell("drained", {{"service", service->name},
                             {"colour", kColourNames[static_cast<size_t>(other(service->active))]}});
  }
}

// A retired backend without flows in two looks goes, and a retired service without backends. The ruleset
// without them is published first; the database lets go of the ids after another grace period (save_due_), so
// that a start in between finds them still held.
Task<void> ChangeExecutor::let_go_of_retired() {
  const bool counts_are_exact = publisher_.attached() && publisher_.dataplane_running();
  if (publisher_.attached() && !counts_are_exact) co_return;  // a killed worker may have left a count too low
  Inventory rest = catalogue_.inventory();
  std::vector<uint16_t> idle;
  for (const BackendState& backend : rest.backends)
    if (backend.retired && !publisher_.holds_flows(backend.id)) idle.push_back(backend.id);
  const auto goes = [&](const BackendState& backend) {
    const auto is_in = [&](const std::vector<uint16_t>& ids) {
      return std::find(ids.begin(), ids.end(), backend.id) != ids.end();
    };
    return backend.retired && is_in(idle) && is_in(idle_retired_);
  };
  std::vector<std::string> released;
  for (const BackendState& backend : rest.backends)
    if (goes(backend)) released.push_back(to_string(backend.socket));
  std::erase_if(rest.backends, goes);
  idle_retired_ = std::move(idle);
  std::erase_if(rest.services, [&](const ServiceState& service) {
    return service.retired &&
           std::none_of(rest.backends.begin(), rest.backends.end(),
                        [&](const BackendState& backend) { return backend.service == service.id; });
  });
  if (released.empty() && rest.services.size() == catalogue_.inventory().services.size()) co_return;
  spdlog::info("no flow holds them any more: {} retired backends go", released.size());
  catalogue_.replace(std::move(rest));
  steering_.want(catalogue_.inventory());
  save_due_ = true;
  co_await publish_everything("retired backends gone");
  for (const std::string& address : released) events_.tell("released", {{"address", address}});
  hops_needed_();
}

}  // namespace teal
