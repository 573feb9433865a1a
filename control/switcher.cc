// SPDX-License-Identifier: Apache-2.0
#include "control/switcher.h"

#include <algorithm>
#include <chrono>

#include <pwd.h>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/ruleset_builder.h"
#include "control/target_change.h"
#include "dataplane/shm/tsc_clock.h"

namespace teal {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// A spinning worker adopts within microseconds; a sleeping one counts as adopted. What takes longer has lost
// its core for a while.
constexpr auto kSpin = 50us;
constexpr auto kFirstPause = 50us;
constexpr auto kLongestPause = 1ms;
constexpr auto kPatience = 2s;
constexpr auto kLivenessEvery = 10ms;

int64_t wall_clock_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

int64_t microseconds_since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
}

std::string user_name(uint32_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) != 0 || found == nullptr) return "";
  return found->pw_name;
}

bool takes_flows(const std::vector<PoolMember>& pool) {
  return std::any_of(pool.begin(), pool.end(), [](const PoolMember& member) { return member.weight > 0; });
}

}  // namespace

struct Switcher::Watch {
  Adoption adoption;
  bool dataplane_running = false;
};

Switcher::Switcher(Config config, Inventory inventory, State& state, asio::thread_pool& disk,
                   Publisher& publisher, std::string pin_dir)
    : catalogue_(std::move(config), std::move(inventory)),
      state_(state),
      disk_(disk),
      publisher_(publisher),
      steering_(std::move(pin_dir)) {
  steering_.want(catalogue_.inventory());
}

uint64_t Switcher::generation() const {
  return std::max(publisher_.generation(), catalogue_.inventory().published_generation);
}

uint64_t Switcher::next_generation() {
  const uint64_t next = std::max(publisher_.generation(), catalogue_.inventory().given_generation) + 1;
  catalogue_.set_generations(next, 0);  // given for good: a failed commit may have reached the disk
  return next;
}

bool Switcher::steered() const {
  const std::shared_ptr<Segment> segment = publisher_.segment();
  return segment != nullptr && segment->header().steering.load(std::memory_order_relaxed) != 0;
}

RolloutView Switcher::view() const {
  RolloutView view{.generation = generation(), .services = {}, .groups = catalogue_.config().groups};
  for (const CatalogueService& service : catalogue_.services()) {
    const ServiceState& state = catalogue_.state(service);
    view.services.push_back({state.name,
                             state.id,
                             state.active,
                             state.previous,
                             {takes_flows(service.pools[0]), takes_flows(service.pools[1])}});
  }
  return view;
}

Task<tl::expected<int64_t, std::string>> Switcher::record_intent(Intent intent) {
  auto work = [this, intent = std::move(intent)]() mutable {
    intent.actor.user =
        user_name(intent.actor.uid);  // may ask a directory over the network: not on the event loop
    return state_.intend(intent);
  };
  co_return co_await run_on(disk_, std::move(work));
}

Task<State::Done> Switcher::record_result(int64_t intent, Outcome outcome, int64_t duration_us,
                                          std::string detail, std::vector<ServiceState> changed) {
  auto work = [this, intent, outcome, duration_us, detail = std::move(detail), changed = std::move(changed)] {
    return state_.finish(intent, outcome, duration_us, detail, changed);
  };
  co_return co_await run_on(disk_, std::move(work));
}

// Slots wait for a grace period, which a stalled worker delays.
Task<bool> Switcher::with_a_free_slot(Attempt attempt) {
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (!attempt()) {
    if (Clock::now() >= deadline) co_return false;
    co_await sleep_for(kLongestPause);
  }
  co_return true;
}

Task<Switcher::Watch> Switcher::watch_adoption() {
  const Clock::time_point begin = Clock::now();
  Watch watch;
  watch.dataplane_running = publisher_.dataplane_running();
  do {
    watch.adoption = publisher_.adoption(watch.dataplane_running);
  } while (!watch.adoption.complete() && Clock::now() < begin + kSpin);

  Clock::time_point looked = begin;
  Clock::duration pause = kFirstPause;
  while (!watch.adoption.complete() && Clock::now() < begin + kPatience) {
    co_await sleep_for(pause);
    pause = std::min<Clock::duration>(2 * pause, kLongestPause);
    if (Clock::now() >= looked + kLivenessEvery) {
      looked = Clock::now();
      watch.dataplane_running = publisher_.dataplane_running();
    }
    watch.adoption = publisher_.adoption(watch.dataplane_running);
  }
  co_return watch;
}

Task<Switcher::Result> Switcher::change(RolloutRequest request, uint32_t uid) {
  const AsyncMutex::Guard guard = co_await mutex_.lock();
  (void)co_await follow_locked();  // a segment that was made just now has everything before it has this
                                   // change
  const tl::expected<RolloutPlan, Refusal> plan = plan_rollout(request, view());
  if (!plan) co_return tl::unexpected(plan.error());
  if (plan->changes.empty()) {
    ChangeResult nothing{.generation = generation(), .unchanged = plan->unchanged};
    nothing.dataplane_running = publisher_.attached() && publisher_.dataplane_running();
    if (publisher_.attached()) nothing.adoption = publisher_.adoption(nothing.dataplane_running);
    nothing.adoption.slowest_us = 0;
    co_return nothing;
  }
  co_return co_await carry_out(request, *plan, uid);
}

Task<Switcher::Result> Switcher::carry_out(const RolloutRequest& request, const RolloutPlan& plan,
                                           uint32_t uid) {
  const Clock::time_point begin = Clock::now();
  const bool is_rollback = request.verb == RolloutRequest::Verb::kRollback;
  const std::string verb = is_rollback ? "rollback" : "flip";
  ChangeResult result{.generation = next_generation(), .changed = plan.changes, .unchanged = plan.unchanged};

  Intent intent{result.generation, verb, changes_json(plan), request.reason, {uid, ""}};
  const tl::expected<int64_t, std::string> intended = co_await record_intent(std::move(intent));
  if (!intended) {
    spdlog::error("{}: {}", verb, intended.error());
    if (!is_rollback) {
      co_return tl::unexpected(
          Refusal{503, "storage", "nothing was changed, as it could not be recorded: " + intended.error(),
                  "a rollback goes ahead all the same"});
    }
    result.warnings.push_back("not recorded in the history: " + intended.error());
  }

  std::vector<ServiceState> states = states_after(plan, result.generation, wall_clock_ms(), catalogue_);
  const std::vector<TargetUpdate> updates = updates_of(states, now_ticks(), catalogue_);
  if (publisher_.attached()) {
    Attempt attempt = [&] {
      return publisher_.generation() != 0 && publisher_.publish_targets(result.generation, updates);
    };
    const bool published = co_await with_a_free_slot(std::move(attempt));
    if (!published) {
      const std::string why = "no slot became free within 2 s: a worker is stalled";
      spdlog::error("{}: {}", verb, why);
      if (intended)
        (void)co_await record_result(*intended, Outcome::kNotPublished, microseconds_since(begin), why, {});
      co_return tl::unexpected(
          Refusal{503, "no_free_slot", "nothing was changed: " + why, "teal status; teal-dataplane's log"});
    }
  }
  catalogue_.set_states(states);
  catalogue_.set_generations(result.generation, result.generation);

  Outcome outcome = Outcome::kDone;
  std::string detail = "no segment";
  if (publisher_.attached()) {
    const Watch watch = co_await watch_adoption();
    result.adoption = watch.adoption;
    result.dataplane_running = watch.dataplane_running;
    if (watch.adoption.complete()) {
      publisher_.acknowledge(result.generation);
    } else {
      outcome = Outcome::kAdoptionTimeout;
    }
    detail =
        fmt::format("{} of {} workers adopted, {} of them asleep, slowest {:.1f} us", watch.adoption.adopted,
                    watch.adoption.live, watch.adoption.asleep, watch.adoption.slowest_us);
  }
  if (!result.dataplane_running)
    result.warnings.push_back("no dataplane is running: new flows follow this as soon as one does");

  if (intended) {
    const State::Done done =
        co_await record_result(*intended, outcome, microseconds_since(begin), detail, std::move(states));
    if (!done) {
      spdlog::error("{}: {}", verb, done.error());
      result.warnings.push_back("in force, but its result is not recorded: " + done.error());
    }
  }
  spdlog::info("{} {}: generation {}, {}", verb, changes_json(plan), result.generation, detail);
  if (outcome == Outcome::kAdoptionTimeout) {
    co_return tl::unexpected(
        Refusal{504, "adoption_timeout",
                fmt::format("generation {} was published, not undone, but only {} of {} workers took it up "
                            "within 2 s",
                            result.generation, result.adoption.adopted, result.adoption.live),
                "teal status; teal rollback"});
  }
  co_return result;
}

Task<tl::expected<void, std::string>> Switcher::follow() {
  const AsyncMutex::Guard guard = co_await mutex_.lock();
  co_return co_await follow_locked();
}

Task<tl::expected<void, std::string>> Switcher::follow_locked() {
  const tl::expected<Publisher::News, std::string> news = publisher_.follow();
  if (!news) co_return tl::unexpected(news.error());
  const bool anew = news->new_segment || everything_due_;
  if (anew) co_await publish_everything(news->new_segment ? "a new segment" : "a start of teald");
  if (anew || news->dataplane_started) {
    if (steered()) steering_.add();
    hops_needed_();
  }
  co_return tl::expected<void, std::string>();
}

Task<void> Switcher::publish_everything(std::string why) {
  everything_due_ = false;
  if (!publisher_.attached()) co_return;
  if (publisher_.targets() != nullptr) {
    Inventory inventory = catalogue_.inventory();
    if (!learn_targets(inventory, publisher_.generation(), *publisher_.targets(), now_ticks(),
                       wall_clock_ms())
             .empty()) {
      catalogue_.replace(std::move(inventory));
      save_due_ = true;
    }
  }

  const auto rules = std::make_unique<Ruleset>();
  const tl::expected<void, std::string> built =
      build_ruleset(make_plan(catalogue_.inventory(), catalogue_.config()), *rules);
  if (!built) {  // the start tried it with the same pools
    spdlog::error("cannot build the ruleset: {}", built.error());
    co_return;
  }
  const auto targets = std::make_unique<Targets>(make_targets(
      catalogue_.inventory(), catalogue_.config(), publisher_.targets(), now_ticks(), wall_clock_ms()));
  const bool is_published = publisher_.generation() != 0 && same_rules(*rules, *publisher_.ruleset()) &&
                            same_targets(catalogue_.inventory(), *targets, *publisher_.targets());

  const Clock::time_point begin = Clock::now();
  tl::expected<int64_t, std::string> intended = tl::unexpected(std::string());
  if (!is_published) {
    const uint64_t generation = next_generation();
    Intent intent{generation, "publish", "[]", why, {getuid(), ""}};
    intended = co_await record_intent(std::move(intent));
    if (!intended) spdlog::error("publish: {}", intended.error());  // forwarding does not wait for a disk
    if (steered()) steering_.add();
    Attempt attempt = [&] { return publisher_.publish_all(generation, *rules, *targets); };
    const bool published = co_await with_a_free_slot(std::move(attempt));
    if (!published) {
      spdlog::error("publish: no slot became free within 2 s: a worker is stalled; trying again");
      if (intended)
        (void)co_await record_result(*intended, Outcome::kNotPublished, microseconds_since(begin),
                                     "no free slot", {});
      everything_due_ = true;
      co_return;
    }
    catalogue_.set_generations(generation, generation);
  }

  const Watch watch = co_await watch_adoption();
  if (watch.adoption.complete()) publisher_.acknowledge(publisher_.generation());
  spdlog::info("generation {} {} ({}): {} of {} workers", publisher_.generation(),
               is_published ? "is published" : "published", why, watch.adoption.adopted, watch.adoption.live);
  if (intended) {
    const Outcome outcome = watch.adoption.complete() ? Outcome::kDone : Outcome::kAdoptionTimeout;
    const State::Done done = co_await record_result(*intended, outcome, microseconds_since(begin), why, {});
    if (!done) spdlog::error("publish: {}", done.error());
  }
}

Task<void> Switcher::tidy() {
  const AsyncMutex::Guard guard = co_await mutex_.lock();
  if (!publisher_.grace_period_over()) co_return;
  if (steered() && steering_.cleanup_due()) steering_.clean_up();
  if (save_due_) {
    auto work = [this, inventory = catalogue_.inventory()] { return state_.save(inventory); };
    const State::Done saved = co_await run_on(disk_, std::move(work));
    save_due_ = !saved;
    if (!saved) spdlog::error("cannot save the ids: {}", saved.error());
  }
  if (catalogue_.inventory().has_retired()) co_await let_go_of_retired();
}

// A retired backend without flows in two looks goes, and a retired service without backends. The ruleset
// without them is published first; the database lets go of the ids after another grace period (save_due_), so
// that a start in between finds them still held.
Task<void> Switcher::let_go_of_retired() {
  const bool counts_are_exact = publisher_.attached() && publisher_.dataplane_running();
  if (publisher_.attached() && !counts_are_exact) co_return;  // a killed worker may have left a count too low
  Inventory rest = catalogue_.inventory();
  std::vector<uint16_t> idle;
  for (const BackendState& backend : rest.backends)
    if (backend.retired && !publisher_.holds_flows(backend.id)) idle.push_back(backend.id);
  const auto goes = [&](const BackendState& backend) {
    const auto is = [&](const std::vector<uint16_t>& ids) {
      return std::find(ids.begin(), ids.end(), backend.id) != ids.end();
    };
    return backend.retired && is(idle) && is(idle_retired_);
  };
  std::erase_if(rest.backends, goes);
  idle_retired_ = std::move(idle);
  std::erase_if(rest.services, [&](const ServiceState& service) {
    return service.retired &&
           std::none_of(rest.backends.begin(), rest.backends.end(),
                        [&](const BackendState& backend) { return backend.service == service.id; });
  });
  const size_t gone = catalogue_.inventory().backends.size() - rest.backends.size();
  if (gone == 0 && rest.services.size() == catalogue_.inventory().services.size()) co_return;
  spdlog::info("no flow holds them any more: {} retired backends go", gone);
  catalogue_.replace(std::move(rest));
  steering_.want(catalogue_.inventory());
  save_due_ = true;
  co_await publish_everything("retired backends gone");
  hops_needed_();
}

Task<void> Switcher::finish() {
  finished_.emplace(co_await mutex_.lock());
}

void Switcher::set_local_addresses(const std::vector<IpAddress>& addresses) {
  if (steering_.want_local(addresses) && steered()) steering_.add();
}

}  // namespace teal
