// SPDX-License-Identifier: Apache-2.0
//
// What operators ask for. What happens by itself is in upkeep.cc.
#include "control/change/executor.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/change/backend_change.h"
#include "control/change/recovery.h"
#include "control/change/reload_plan.h"
#include "control/loop/wall_clock.h"
#include "control/publish/adoption.h"
#include "control/publish/ruleset_builder.h"
#include "dataplane/shm/tsc_clock.h"

namespace teal {

namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

int64_t microseconds_since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
}

bool takes_flows(const std::vector<PoolMember>& pool) {
  return std::any_of(pool.begin(), pool.end(), [](const PoolMember& member) { return member.weight > 0; });
}

// The history's and the events' account of a change.
Json changes_of(const Change& change) {
  if (change.fields.contains("changed")) return change.fields["changed"];
  Json changes = Json::array();
  const Json plan = change.fields.value("plan", Json::object());
  for (const char* list : {"added", "changed", "retired"}) {
    for (Json entry : plan.value(list, Json::array())) {
      entry["what"] = list;
      changes.push_back(std::move(entry));
    }
  }
  return changes;
}

Change change_of(const RolloutPlan& plan, RolloutRequest::Verb verb, const Catalogue& catalogue) {
  const bool is_rollback = verb == RolloutRequest::Verb::kRollback;
  Change change{.verb = is_rollback ? "rollback" : "flip"};
  change.is_flip = true;
  change.despite_disk = is_rollback;
  Json changed = Json::array();
  for (const ColourChange& colour : plan.changes) {
    ServiceState state = *catalogue.service(colour.service);
    state.active = colour.to;
    state.previous = colour.from;
    state.drain_timeout.reset();
    state.drain_then.reset();
    change.services.push_back(std::move(state));
    changed.push_back({{"service", colour.name},
                       {"from", kColourNames[static_cast<size_t>(colour.from)]},
                       {"to", kColourNames[static_cast<size_t>(colour.to)]}});
  }
  change.fields = {{"changed", std::move(changed)}, {"unchanged", plan.unchanged}};
  return change;
}

std::string adoption_text(const Adoption& adoption) {
  return fmt::format("{} of {} workers adopted, {} of them asleep, slowest {:.1f} us", adoption.adopted,
                     adoption.live, adoption.asleep, adoption.slowest_us);
}

std::string lock_text(const ChangeLock& lock) {
  return fmt::format("{} (uid {}) locked all changes at {}{}{}", lock.user.empty() ? "somebody" : lock.user,
                     lock.uid, rfc3339(lock.at_ms), lock.reason.empty() ? "" : ": ", lock.reason);
}

Refusal not_stored(const std::string& why) {
  return {503,
          "storage",
          "nothing was changed, as it could not be recorded: " + why,
          "a rollback goes ahead all the same",
          {}};
}

}  // namespace

ChangeExecutor::ChangeExecutor(Config config, Inventory inventory, Recorder& recorder, Publisher& publisher,
                               Events& events, std::string pin_dir)
    : catalogue_(std::move(config), std::move(inventory)),
      recorder_(recorder),
      publisher_(publisher),
      events_(events),
      steering_(std::move(pin_dir)),
      stamp_(FileStamp::of(catalogue_.config().path)),
      loaded_at_ms_(wall_clock_ms()) {
  steering_.want(catalogue_.inventory());
}

uint64_t ChangeExecutor::generation() const {
  return std::max(publisher_.generation(), catalogue_.inventory().published_generation);
}

uint64_t ChangeExecutor::next_generation() {
  const uint64_t next = std::max(publisher_.generation(), catalogue_.inventory().given_generation) + 1;
  catalogue_.set_generations(next, 0);  // given for good: a failed commit may have reached the disk
  return next;
}

RolloutView ChangeExecutor::view() const {
  RolloutView view{.services = {}, .groups = catalogue_.config().groups};
  for (const CatalogueService& service : catalogue_.services()) {
    const ServiceState& state = catalogue_.state(service);
    view.services.push_back({state.name,
                             state.id,
                             state.active,
                             state.previous,
                             {takes_flows(service.pools[0]), takes_flows(service.pools[1])},
                             std::nullopt});
  }
  return view;
}

// --- verbs ---

Task<ChangeExecutor::Result> ChangeExecutor::roll(RolloutRequest request, ChangeOptions options) {
  Planner plan = [this, request = std::move(request)] { return plan_roll(request); };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<ChangeExecutor::Planned> ChangeExecutor::plan_roll(RolloutRequest request) {
  RolloutView services = view();
  if (request.to_generation) {
    const uint64_t generation = *request.to_generation;
    const auto flips = co_await recorder_.flips_since(generation);
    if (!flips) co_return tl::unexpected(Refusal{503, "storage", flips.error(), "teal rollback SERVICE", {}});
    if (!*flips)
      co_return tl::unexpected(
          Refusal{404,
                  "unknown_generation",
                  fmt::format("no generation {} was published, as far as the history goes", generation),
                  "teal history",
                  {}});
    const auto splits = colours_before(**flips);
    for (RolloutService& service : services.services)
      if (const auto then = splits.find(service.name); then != splits.end()) service.back_then = then->second;
  }
  const tl::expected<RolloutPlan, Refusal> plan = plan_rollout(request, services);
  if (!plan) co_return tl::unexpected(plan.error());
  co_return change_of(*plan, request.verb, catalogue_);
}

Task<ChangeExecutor::Result> ChangeExecutor::set_drain(DrainRequest request, ChangeOptions options) {
  Planner plan = [this, request = std::move(request)]() -> Task<Planned> {
    co_return plan_drain(request, view(), catalogue_);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<ChangeExecutor::Result> ChangeExecutor::set_backend(BackendRequest request, ChangeOptions options) {
  Planner plan = [this, request = std::move(request)]() -> Task<Planned> {
    co_return plan_backend(request, catalogue_, publisher_);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<ChangeExecutor::Result> ChangeExecutor::reload(ChangeOptions options) {
  const bool rehearsal = options.dry_run;
  FileStamp stamp =
      FileStamp::of(catalogue_.config().path);  // before it is read: a later edit is a difference
  Planner plan = [this] { return plan_reload(); };
  Result result = co_await change(std::move(options), std::move(plan));
  if (result && !rehearsal) {
    stamp_ = std::move(stamp);
    file_differs_ = false;
    loaded_at_ms_ = wall_clock_ms();
  }
  co_return result;
}

Task<ChangeExecutor::Planned> ChangeExecutor::plan_reload() {
  const std::string path = catalogue_.config().path;
  auto read = [path] { return read_config_file(path); };
  const auto file = co_await recorder_.run(std::move(read));
  const auto bad = [&](std::vector<std::string> errors) {
    const std::string count = errors.size() == 1 ? "1 error" : fmt::format("{} errors", errors.size());
    return tl::unexpected(Refusal{422, "bad_config", fmt::format("{}: {}; nothing was changed", path, count),
                                  "teal check " + path, std::move(errors)});
  };
  if (!file) co_return bad(file.error());
  if (const std::string why = too_large(file->config); !why.empty()) co_return bad({why});
  tl::expected<Renumbered, std::string> renumbered = renumber(catalogue_.inventory(), file->config);
  if (!renumbered)
    co_return tl::unexpected(
        Refusal{422,
                "refused",
                renumbered.error() + "; nothing was changed",
                "teal status shows what is retired; take away in one reload, add in the next",
                {}});

  const Catalogue after(file->config, renumbered->inventory);
  for (const CatalogueService& service : after.services()) {
    const auto active = static_cast<size_t>(after.state(service).active);
    if (!takes_flows(service.pools[active]))
      co_return tl::unexpected(Refusal{
          422,
          "refused",
          fmt::format("service \"{}\" would be left without a {} backend that is ready and has a weight "
                      "above 0, and {} is its active colour",
                      service.config->name, kColourNames[active], kColourNames[active]),
          fmt::format("teal backend list {}; teal flip", service.config->name),
          {}});
  }

  Change change{.verb = "reload"};
  const auto flows = [this](uint16_t backend) {
    uint64_t sum = 0;
    for (const Colour colour : {Colour::kBlue, Colour::kGreen}) sum += publisher_.flows(backend, colour).live;
    return sum;
  };
  Json plan =
      reload_plan(catalogue_.config(), catalogue_.inventory(), file->config, renumbered->inventory, flows);
  if (publisher_.attached() && publisher_.dataplane_running())
    plan["restart"] = wants_restart(file->options, publisher_.segment()->header());
  if (!changes_nothing(plan)) {
    change.config = std::make_shared<const Config>(file->config);
    change.inventory = std::make_shared<const Inventory>(std::move(renumbered->inventory));
  }
  change.fields = {{"plan", std::move(plan)}};
  co_return change;
}

Task<ChangeExecutor::Result> ChangeExecutor::lock(ChangeOptions options) {
  co_return co_await set_lock(std::move(options), true);
}

Task<ChangeExecutor::Result> ChangeExecutor::unlock(ChangeOptions options) {
  co_return co_await set_lock(std::move(options), false);
}

// Nothing is published: the generation stays.
Task<ChangeExecutor::Result> ChangeExecutor::set_lock(ChangeOptions options, bool locked) {
  const AsyncMutex::Guard guard = co_await mutex_.lock();
  const std::optional<ChangeLock> present = catalogue_.inventory().lock;
  if (options.if_generation && *options.if_generation != generation())
    co_return tl::unexpected(conflict(*options.if_generation, generation()));
  if (locked && present)
    co_return tl::unexpected(Refusal{423, "locked", lock_text(*present), "teal unlock", {}});
  std::optional<ChangeLock> wanted;
  if (locked) wanted = ChangeLock{options.uid, "", options.reason, wall_clock_ms()};
  if (!options.dry_run && locked != present.has_value()) {
    Intent intent{generation(), locked ? "lock" : "unlock", "[]", options.reason, {options.uid, ""}};
    auto recorded = co_await recorder_.record_lock(std::move(intent), wanted);
    if (!recorded) co_return tl::unexpected(not_stored(recorded.error()));
    catalogue_.set_lock(*recorded);
    wanted = std::move(*recorded);
    events_.tell(locked ? "locked" : "unlocked", {{"uid", options.uid}, {"reason", options.reason}});
    spdlog::info("{} by uid {}: {}", locked ? "locked" : "unlocked", options.uid, options.reason);
  }
  ChangeResult result = unchanged({{"lock", lock_json(wanted)}});
  result.dry_run = options.dry_run;
  co_return result;
}

// --- the way of every change ---

std::optional<Refusal> ChangeExecutor::refused_by_gates(const ChangeOptions& options) const {
  if (options.if_generation && *options.if_generation != generation())
    return conflict(*options.if_generation, generation());
  if (const std::optional<ChangeLock>& lock = catalogue_.inventory().lock; lock && !options.dry_run)
    return Refusal{423, "locked", lock_text(*lock), "talk to them, or: teal unlock", {}};
  return std::nullopt;
}

Task<ChangeExecutor::Result> ChangeExecutor::change(ChangeOptions options, Planner plan) {
  const AsyncMutex::Guard guard = co_await mutex_.lock();
  (void)co_await follow_segment_locked();  // a segment that was made just now has everything before this
                                           // change
  Planned planned = co_await plan();
  if (!planned) co_return tl::unexpected(planned.error());
  if (std::optional<Refusal> refusal = refused_by_gates(options))
    co_return tl::unexpected(std::move(*refusal));
  if (options.dry_run || planned->empty()) {
    ChangeResult result = unchanged(std::move(planned->fields));
    result.dry_run = options.dry_run;
    result.warnings = std::move(planned->warnings);
    if (const std::optional<ChangeLock>& lock = catalogue_.inventory().lock)
      result.warnings.push_back("it would be refused: " + lock_text(*lock));
    co_return result;
  }
  co_return co_await carry_out(std::move(*planned), std::move(options));
}

ChangeResult ChangeExecutor::unchanged(Json fields) const {
  ChangeResult result{.generation = generation(), .fields = std::move(fields)};
  result.dataplane_running = publisher_.attached() && publisher_.dataplane_running();
  if (publisher_.attached()) result.adoption = publisher_.adoption(result.dataplane_running);
  result.adoption.slowest_us = 0;
  return result;
}

Task<ChangeExecutor::Result> ChangeExecutor::carry_out(Change change, ChangeOptions options) {
  const Clock::time_point begin = Clock::now();
  const uint64_t generation = next_generation();
  ChangeResult result{.generation = generation, .fields = change.fields, .warnings = change.warnings};
  Json told = {{"generation", generation}, {"verb", change.verb}, {"services", changes_of(change)}};
  const std::string changes = told["services"].dump();

  Intent intent{generation, change.verb, changes, options.reason, {options.uid, ""}};
  const auto intended = co_await recorder_.intend(std::move(intent), change.inventory);
  if (!intended) {
    spdlog::error("{}: {}", change.verb, intended.error());
    if (!change.despite_disk) co_return tl::unexpected(not_stored(intended.error()));
    result.warnings.push_back("not recorded in the history: " + intended.error());
  }
  events_.tell("intended", told);

  if (change.is_flip) {
    for (ServiceState& state : change.services) {
      state.flip_generation = generation;
      state.flipped_at_ms = wall_clock_ms();
    }
  }
  const bool published = co_await publish(change, generation);
  if (!published) {
    const std::string why = "no slot became free within 2 s: a worker is stalled";
    spdlog::error("{}: {}", change.verb, why);
    if (intended)
      (void)co_await recorder_.finish(*intended, Outcome::kNotPublished, microseconds_since(begin), why, {},
                                      {});
    save_due_ = save_due_ || change.inventory != nullptr;  // the intent brought the new ids along
    told["result"] = "not_published";
    told["duration_us"] = microseconds_since(begin);
    events_.tell("failed", told);
    co_return tl::unexpected(
        Refusal{503, "no_free_slot", "nothing was changed: " + why, "teal status; teal-dataplane's log", {}});
  }
  remember(change);
  catalogue_.set_generations(generation, generation);
  events_.tell("published", told);

  Outcome outcome = Outcome::kDone;
  std::string detail = "no segment";
  if (publisher_.attached()) {
    const Watch watch = co_await watch_adoption(publisher_);
    result.adoption = watch.adoption;
    result.dataplane_running = watch.dataplane_running;
    detail = adoption_text(watch.adoption);
    if (watch.adoption.complete()) {
      publisher_.acknowledge(generation);
      events_.tell("adopted", told);
    } else {
      outcome = Outcome::kAdoptionTimeout;
    }
  }
  if (!result.dataplane_running)
    result.warnings.push_back("no dataplane is running: new flows follow this as soon as one does");

  const int64_t duration_us = microseconds_since(begin);
  if (intended) {
    const State::Done done =
        co_await recorder_.finish(*intended, outcome, duration_us, detail, change.services, change.backends);
    if (!done) {
      spdlog::error("{}: {}", change.verb, done.error());
      result.warnings.push_back("in force, but its result is not recorded: " + done.error());
    }
  }
  told["result"] = outcome == Outcome::kDone ? "done" : "adoption_timeout";
  told["duration_us"] = duration_us;
  events_.tell(outcome == Outcome::kDone ? "done" : "failed", told);
  spdlog::info("{} {}: generation {}, {}", change.verb, changes.substr(0, 500), generation, detail);
  if (outcome == Outcome::kAdoptionTimeout) {
    co_return tl::unexpected(
        Refusal{504,
                "adoption_timeout",
                fmt::format("generation {} was published, not undone, but only {} of {} workers took it up "
                            "within 2 s",
                            generation, result.adoption.adopted, result.adoption.live),
                "teal status; teal rollback",
                {}});
  }
  co_return result;
}

// False: no slot became free. True without a segment, too: the next one gets it all.
Task<bool> ChangeExecutor::publish(const Change& change, uint64_t generation) {
  if (!publisher_.attached()) co_return true;
  const uint32_t now_tick = now_ticks();
  const int64_t now_ms = wall_clock_ms();
  std::function<bool()> attempt;
  if (!change.needs_ruleset()) {
    std::vector<SplitUpdate> updates;
    for (const ServiceState& state : change.services) {
      const TrafficSplit* present =
          publisher_.splits() == nullptr ? nullptr : &publisher_.splits()->services[state.id];
      const DrainConfig drain = effective_drain(*catalogue_.find(state.name)->config, state);
      TrafficSplit split = make_split(state, drain, present, now_tick, now_ms);
      if (change.is_reset) split.reset_before = std::max<uint32_t>(static_cast<uint32_t>(generation), 1);
      updates.push_back({state.id, split});
    }
    attempt = [this, generation, updates = std::move(updates)] {
      return publisher_.generation() != 0 && publisher_.publish_splits(generation, updates);
    };
    co_return co_await with_a_free_slot(std::move(attempt));
  }

  Inventory inventory = change.inventory != nullptr ? *change.inventory : catalogue_.inventory();
  for (const BackendState& changed : change.backends)
    for (BackendState& backend : inventory.backends)
      if (backend.id == changed.id) backend = changed;
  const Config& config = change.config != nullptr ? *change.config : catalogue_.config();
  const auto rules = std::make_shared<Ruleset>();
  if (const auto built = build_ruleset(ruleset_input(inventory, config), *rules); !built) {
    spdlog::error("cannot build the ruleset: {}", built.error());  // the plan tried it with the same pools
    co_return false;
  }
  const auto splits =
      std::make_shared<TrafficSplits>(make_splits(inventory, config, publisher_.splits(), now_tick, now_ms));
  steering_.want(inventory);  // packets of new services come to the workers a moment early: they punt them
  if (steered()) steering_.add();
  attempt = [this, generation, rules, splits] { return publisher_.publish_all(generation, *rules, *splits); };
  const bool published = co_await with_a_free_slot(std::move(attempt));
  if (!published) steering_.want(catalogue_.inventory());
  co_return published;
}

void ChangeExecutor::remember(const Change& change) {
  if (change.config == nullptr) {
    catalogue_.set_states(change.services);
    if (!change.backends.empty()) catalogue_.set_backends(change.backends);
    return;
  }
  for (const BackendState& backend : change.inventory->backends) {
    const BackendState* before = catalogue_.backend(backend.id);
    if (backend.retired && before != nullptr && !before->retired)
      events_.tell("retired", {{"address", to_string(before->socket)}});
  }
  catalogue_.replace(Config(*change.config), Inventory(*change.inventory));
  steering_.want(catalogue_.inventory());
  events_.tell("reloaded");
  reloaded_(catalogue_.config());
  hops_needed_();
}

Task<void> ChangeExecutor::finish() {
  finished_.emplace(co_await mutex_.lock());
}

void ChangeExecutor::set_local_addresses(const std::vector<IpAddress>& addresses) {
  if (steering_.want_local(addresses) && steered()) steering_.add();
}

}  // namespace teal
