// SPDX-License-Identifier: Apache-2.0
#include "control/change/executor.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/change/change_lock.h"
#include "control/change/executor_refusals.h"
#include "control/change/published_form.h"
#include "control/change/retired.h"
#include "control/state/reload_ids.h"
#include "control/state/splits.h"

namespace teal {

namespace {

using Json = nlohmann::ordered_json;

bool is_unlock(const Change& change) {
  return change.lock && !change.lock->lock;
}

}  // namespace

// The state of a change that is being carried out.
struct ChangeExecutor::Progress {
  Change change;
  ChangeOptions options;
  ChangeResult result;
  Json shown;  // the changes as the history shows them
  Json told;   // the data of the events
  Clock::Time began;
  int64_t began_at_ms = 0;
  std::optional<uint64_t> revision;        // that it makes; nothing: it is upkeep
  std::optional<int64_t> intent;           // the id of its row; nothing: not recorded so far
  std::shared_ptr<const Ruleset> ruleset;  // null: the ruleset stays
  Outcome outcome = Outcome::kDone;
  std::string detail = "no segment";  // for the history

  int64_t duration_us(const Clock& clock) const {
    return std::chrono::duration_cast<std::chrono::microseconds>(clock.now() - began).count();
  }
};

ChangeExecutor::ChangeExecutor(Config config, Inventory inventory, Journal& journal, Publisher& publisher,
                               Steering& steering, Events& events, const Clock& clock)
    : catalogue_(std::move(config), std::move(inventory)),
      journal_(journal),
      publisher_(publisher),
      steering_(steering),
      events_(events),
      clock_(clock) {
  steering_.want(catalogue_.inventory());
  journal_.take_inventory_from([this] { return std::make_shared<const Inventory>(catalogue_.inventory()); });
}

uint64_t ChangeExecutor::generation() const {
  return std::max(publisher_.generation(), catalogue_.inventory().published_generation);
}

uint64_t ChangeExecutor::next_generation() {
  const uint64_t next = std::max(publisher_.generation(), catalogue_.inventory().given_generation) + 1;
  catalogue_.set_generations(next, 0);  // never given again: a commit that failed may have reached the disk
  return next;
}

// --- gates ---

Task<ChangeExecutor::Result> ChangeExecutor::execute(const Turn&, Change change, ChangeOptions options) {
  if (std::optional<Refusal> refusal = refused_by_gates(change, options))
    co_return tl::unexpected(std::move(*refusal));
  if (options.dry_run) {
    if (const std::string trouble = journal_.trouble();
        !trouble.empty() && !change.empty() && !goes_without_disk(change))
      co_return tl::unexpected(not_recorded(trouble));
    co_return answer_without_change(change, options);
  }
  if (change.empty()) {
    Result result = co_await confirm(change, options);
    if (result && change.reworded != nullptr) co_await keep(*change.reworded, options, *result);
    if (result) co_await remember_nothing(*result, options);
    co_return result;
  }
  co_return co_await carry_out(std::move(change), std::move(options));
}

std::optional<Refusal> ChangeExecutor::refused_by_gates(const Change& change,
                                                        const ChangeOptions& options) const {
  if (!publisher_.refused().empty()) return segment_refused(publisher_.refused());
  if (options.if_generation && *options.if_generation != generation())
    return conflict("generation", *options.if_generation, generation());
  const uint64_t revision = catalogue_.inventory().revision;
  if (options.if_revision && *options.if_revision != revision)
    return conflict("revision", *options.if_revision, revision);
  const std::optional<ChangeLock>& lock = catalogue_.inventory().lock;
  if (lock && !change.despite_lock) return locked(*lock);
  return std::nullopt;
}

ChangeResult ChangeExecutor::unchanged(const Change& change, const ChangeOptions& options) const {
  ChangeResult result{.generation = generation(),
                      .revision = catalogue_.inventory().revision,
                      .fields = change.fields,
                      .warnings = change.warnings,
                      .way_back = change.way_back};
  result.dry_run = options.dry_run;
  result.dataplane_running = publisher_.attached() && publisher_.dataplane_running();
  if (publisher_.attached()) result.adoption = publisher_.adoption(result.dataplane_running);
  result.adoption.slowest_us = 0;
  return result;
}

// --- the steps ---

Task<ChangeExecutor::Result> ChangeExecutor::carry_out(Change change, ChangeOptions options) {
  Progress progress = begin(std::move(change), std::move(options));
  if (progress.change.needs_ruleset() && publisher_.attached()) {
    auto built = ruleset_after(progress.change, catalogue_);
    if (!built) {
      log(progress, spdlog::level::err, "cannot build the ruleset: " + built.error());
      co_return tl::unexpected(Refusal(422, "refused", "nothing was changed: " + built.error()));
    }
    progress.ruleset = std::move(*built);
  }
  if (std::optional<Refusal> refusal = co_await intend(progress))
    co_return tl::unexpected(std::move(*refusal));
  if (!progress.change.lock) {
    if (std::optional<Refusal> refusal = co_await publish(progress)) {
      co_await give_up(progress, *refusal);
      co_return tl::unexpected(std::move(*refusal));
    }
  }
  apply(progress);
  progress.change.complete(progress.result.fields);
  const Intent made = intent_of(progress, progress.change.lock.has_value());
  co_await keep_copy_(catalogue_, &progress.change, &made);
  if (progress.change.lock && progress.intent) {  // the intent was its record
    know(progress.result, progress.options, progress.began_at_ms, true, true);
  } else {
    if (!progress.change.lock) co_await adopt(progress);
    co_await record_result(progress);
  }
  co_return answer(std::move(progress));
}

// The fields of an event that say who made the change, and why.
nlohmann::ordered_json who_and_why(const ChangeOptions& options) {
  const Actor& actor = options.actor;
  return {{"uid", actor.is_teald() ? Json(nullptr) : Json(actor.uid)},
          {"user", actor.user},
          {"by_root", actor.by_root()},
          {"reason", options.reason}};
}

void ChangeExecutor::tell_of_services(Progress& progress) {
  const Json& shown = progress.shown;
  Json first = Json::array();
  for (size_t i = 0; i < std::min(shown.size(), kNamedInEvent); ++i) first.push_back(shown[i]);
  if (first.size() < shown.size()) progress.told["count"] = shown.size();
  progress.told["services"] = std::move(first);
}

ChangeExecutor::Progress ChangeExecutor::begin(Change change, ChangeOptions options) {
  Progress progress{.change = std::move(change), .options = std::move(options)};
  progress.began = clock_.now();
  progress.began_at_ms = clock_.wall_ms();
  // A lock publishes nothing, so its number is a revision only.
  const uint64_t number = next_generation();
  const uint64_t generation = progress.change.lock ? this->generation() : number;
  if (!progress.change.is_upkeep) progress.revision = number;
  number_states(progress.change, generation, progress.options.actor, clock_.wall_ms());
  progress.shown = shown_changes(progress.change);
  progress.told = {{"generation", generation}, {"verb", progress.change.verb}};
  progress.told.update(who_and_why(progress.options));
  if (!progress.change.republish && !progress.change.releases_ids) tell_of_services(progress);
  progress.result = unchanged(progress.change, progress.options);
  progress.result.generation = generation;
  if (progress.revision) progress.result.revision = *progress.revision;
  return progress;
}

Intent ChangeExecutor::intent_of(const Progress& progress, bool is_adopted) const {
  const Change& change = progress.change;
  Intent intent{
      .generation = progress.result.generation, .verb = change.verb, .changes = progress.shown.dump()};
  intent.reason = progress.options.reason;
  intent.actor = progress.options.actor;
  intent.at_ms = progress.began_at_ms;
  intent.record = record_of(change);
  intent.revision = progress.revision;
  intent.request = carried_out(progress.result, progress.options, is_adopted);
  intent.lock = change.lock;
  if (intent.lock) intent.lock->before = catalogue_.inventory().lock;
  return intent;
}

bool ChangeExecutor::goes_without_disk(const Change& change) const {
  return change.despite_disk || (is_unlock(change) && !journal_.trouble().empty());
}

Task<std::optional<Refusal>> ChangeExecutor::intend(Progress& progress) {
  const Change& change = progress.change;
  if (goes_without_disk(change)) co_return std::nullopt;
  // Not a conditional expression in the call: GCC 12 destroys such a temporary of a co_await twice.
  std::shared_ptr<const Inventory> saved;
  if (change.inventory != nullptr)
    saved = std::make_shared<const Inventory>(with_reserved_ids(catalogue_.inventory(), *change.inventory));
  Intent intent = intent_of(progress, change.lock.has_value());
  const auto intended = co_await journal_.intend(std::move(intent), std::move(saved));
  if (!intended) {
    Refusal refusal = not_recorded(intended.error());
    if (is_unlock(change)) refusal.hint = "run teal unlock again: it now goes ahead without the disk";
    co_return refusal;
  }
  progress.intent = *intended;
  tell(progress, "intended");
  co_return std::nullopt;
}

// Without a segment there is nothing to do: the next segment gets everything.
Task<std::optional<Refusal>> ChangeExecutor::publish(Progress& progress) {
  if (!publisher_.attached()) co_return std::nullopt;
  if (progress.ruleset != nullptr) {
    const bool published = co_await publish_ruleset(progress);
    if (published) co_return std::nullopt;
    co_return no_free_slot();
  }
  const uint64_t generation = progress.result.generation;
  auto updates = split_updates(progress.change, catalogue_, publisher_.splits(), clock_);
  std::function<bool()> attempt = [this, generation, updates = std::move(updates)] {
    return publisher_.generation() != 0 && publisher_.publish_splits(generation, updates);
  };
  const bool published = co_await with_a_free_slot(std::move(attempt), clock_);
  if (published) co_return std::nullopt;
  co_return no_free_slot();
}

// The steering maps get new services before the workers do: until then the workers punt their packets.
Task<bool> ChangeExecutor::publish_ruleset(const Progress& progress) {
  steering_.want(inventory_after(progress.change, catalogue_));
  if (publisher_.is_steered()) steering_.add();
  const auto splits = splits_after(progress.change, catalogue_, publisher_.splits(), clock_);
  std::function<bool()> attempt = [this, generation = progress.result.generation, rules = progress.ruleset,
                                   splits] { return publisher_.publish_all(generation, *rules, *splits); };
  const bool published = co_await with_a_free_slot(std::move(attempt), clock_);
  if (!published) steering_.want(catalogue_.inventory());
  co_return published;
}

Task<void> ChangeExecutor::give_up(Progress& progress, const Refusal& refusal) {
  log(progress, spdlog::level::err, refusal.message);
  if (progress.change.is_retry && !progress.intent) co_return;
  (void)co_await finish(progress, Outcome::kNotPublished, refusal.message, ChangeRecord());
  save_due_ = save_due_ || progress.change.config != nullptr;  // the intent of a reload reserved new ids
  progress.told["result"] = "not_published";
  tell_end(progress, "failed");
}

void ChangeExecutor::apply(const Progress& progress) {
  const Change& change = progress.change;
  if (change.lock) {
    catalogue_.set_lock(change.lock->lock);
    catalogue_.set_revision(progress.result.revision);
    events_.tell(change.lock->lock ? "locked" : "unlocked", who_and_why(progress.options));
    return;
  }
  if (!change.flips.empty()) flips_(flipped(change));
  catalogue_.set_states(change.services);
  if (!change.backends.empty()) catalogue_.set_backends(change.backends);
  if (change.inventory != nullptr) apply_inventory(progress);
  catalogue_.set_generations(progress.result.generation, progress.result.generation);
  catalogue_.set_revision(progress.result.revision);
  tell(progress, "published");
}

void ChangeExecutor::apply_inventory(const Progress& progress) {
  const Change& change = progress.change;
  const GoneBackends gone = gone_backends(catalogue_.inventory(), *change.inventory);
  for (const auto& [event, backends] : {std::pair("retired", gone.retired), {"moved", gone.moved}}) {
    if (backends.empty()) continue;
    auto told = who_and_why(progress.options);
    told.update(counted_list("backends", backends));
    events_.tell(event, std::move(told));
  }
  if (change.config != nullptr) {
    catalogue_.replace(Config(*change.config), Inventory(*change.inventory));
    events_.tell("reloaded", who_and_why(progress.options));
    reloaded_(catalogue_.config());
  } else {
    catalogue_.replace(Inventory(*change.inventory));
  }
  save_due_ = save_due_ || change.releases_ids;
  steering_.want(catalogue_.inventory());
  need_hops_();
}

Task<void> ChangeExecutor::adopt(Progress& progress) {
  if (!publisher_.attached()) co_return;
  const Watch watch = co_await watch_adoption(publisher_, clock_);
  progress.result.adoption = watch.adoption;
  progress.result.dataplane_running = watch.dataplane_running;
  progress.detail = watch.dataplane_running ? adoption_text(watch.adoption) : "no dataplane runs";
  if (watch.adoption.complete()) {
    publisher_.acknowledge(progress.result.generation);
    if (watch.dataplane_running) tell(progress, "adopted");
  } else {
    progress.outcome = Outcome::kAdoptionTimeout;
  }
}

Task<void> ChangeExecutor::record_result(Progress& progress) {
  const bool is_done = progress.outcome == Outcome::kDone;
  if (is_done) warn_without_dataplane(progress.change, progress.result);
  ChangeRecord record = record_of(progress.change);
  const State::Done done = co_await finish(progress, progress.outcome, progress.detail, std::move(record));
  if (!done) {
    log(progress, spdlog::level::err, "in force, but not recorded yet: " + done.error());
    say_not_recorded(done.error(), progress.options, progress.result);
  }
  know(progress.result, progress.options, progress.began_at_ms, is_done, done.has_value());
  progress.told["result"] = is_done ? "done" : "adoption_timeout";
  progress.told["recorded"] = progress.result.recorded;
  tell_end(progress, is_done ? "done" : "failed");
}

Task<State::Done> ChangeExecutor::finish(Progress& progress, Outcome outcome, std::string detail,
                                         ChangeRecord record) {
  const int64_t duration_us = progress.duration_us(clock_);
  progress.told["duration_us"] = duration_us;
  Unrecorded change{.row = progress.intent};
  if (!progress.intent) change.intent = intent_of(progress, outcome == Outcome::kDone);
  if (was_published(outcome) && !progress.change.releases_ids) change.inventory = progress.change.inventory;
  if (progress.change.config != nullptr && was_published(outcome))
    change.config = std::make_shared<const std::string>(progress.change.config->text);
  change.finish = Finish{outcome, clock_.wall_ms(), duration_us, std::move(detail), std::move(record)};
  change.finish->request = carried_out(progress.result, progress.options, outcome == Outcome::kDone);
  co_return co_await journal_.record(std::move(change));
}

ChangeExecutor::Result ChangeExecutor::answer(Progress progress) {
  const Change& change = progress.change;
  const bool is_adopted = progress.outcome != Outcome::kAdoptionTimeout;
  const std::string result =
      change.lock ? "done" : fmt::format("{}, {}", is_adopted ? "done" : "adoption_timeout", progress.detail);
  log(progress, is_adopted ? spdlog::level::info : spdlog::level::warn, result);
  if (!is_adopted)
    return tl::unexpected(not_adopted(progress.result.generation, progress.result.adoption, change.way_back));
  return std::move(progress.result);
}

void ChangeExecutor::log(const Progress& progress, int level, std::string result) const {
  log_(level, intent_of(progress, false), std::move(result));
}

// A change that publishes nothing has no generation of its own, and so none of the events about a generation.
void ChangeExecutor::tell(const Progress& progress, const char* event) const {
  if (!progress.change.lock) events_.tell(event, progress.told);
}

// The last event of a flip names each of its services: they are counted by it.
void ChangeExecutor::tell_end(Progress& progress, const char* event) const {
  if (!progress.change.flips.empty()) {
    progress.told.erase("count");
    progress.told["services"] = progress.shown;
  }
  tell(progress, event);
}

// --- beside the changes ---

Task<Watch> ChangeExecutor::acknowledge() {
  const Watch watch = co_await watch_adoption(publisher_, clock_);
  if (watch.adoption.complete()) publisher_.acknowledge(publisher_.generation());
  spdlog::info("generation {} is published: {}", publisher_.generation(), adoption_text(watch.adoption));
  co_return watch;
}

}  // namespace teal
