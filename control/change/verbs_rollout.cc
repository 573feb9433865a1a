// SPDX-License-Identifier: Apache-2.0
//
// The verbs that move new flows: flip, rollback, ramp, next and abort; and pause and resume.
#include <algorithm>

#include <fmt/format.h>

#include "control/change/change_lock.h"
#include "control/change/drain_end.h"
#include "control/change/verbs.h"
#include "control/config/config_rollout.h"

namespace teal {

namespace {

// Requests that wait for their hook hold connections, of which the API has Limits::connections. The way back
// needs one, too.
constexpr uint32_t kMaxWaitingForHooks = 32;

Refusal too_many_wait_for_hooks() {
  return {
      503,
      "queued_too_long",
      fmt::format("nothing was changed: {} other requests wait for their hook pre_flip", kMaxWaitingForHooks),
      "look at `teal history`, then repeat the command",
      {}};
}

}  // namespace

// Gives silent neighbours of a new colour the time after which their silence is certain: a reload may have
// just added these backends. The wait is before the flip's turn, so no other change waits.
Task<void> Verbs::wait_for_answers(const RolloutRequest& request) {
  const Clock::Time until = clock_.now() + kLongestSilence;
  while (clock_.now() < until && publisher_.dataplane_running()) {
    const Catalogue& catalogue = executor_.catalogue();
    const auto plan = plan_rollout(request, view_of(catalogue));
    if (!plan || !look_at_reach(*plan).is_undecided) co_return;
    co_await clock_.sleep(std::chrono::milliseconds(100));
  }
}

Task<Verbs::Result> Verbs::roll(RolloutRequest request, ChangeOptions options) {
  if (options.actor.user.empty()) options.actor.user = users_.known(options.actor.uid);
  const bool is_asked = goes_forward(request.verb) && !request.force;
  if (is_asked) co_await wait_for_answers(request);
  PreFlip hooks;
  hooks.request.verb = request.verb == RolloutRequest::Verb::kRamp ? "ramp" : "flip";
  hooks.request.reason = options.reason;
  hooks.request.actor = options.actor;
  hooks.is_due = is_asked && !options.dry_run;
  if (hooks.is_due) {
    std::optional<Refusal> refusal = co_await run_pre_flip(request, options, hooks);
    if (refusal) co_return tl::unexpected(std::move(*refusal));
  }
  if (!goes_forward(request.verb) && !options.dry_run)
    hooks.passes_gates = [this, options](const Change& change) {
      return !executor_.refused_by_gates(change, options);
    };
  auto place = goes_forward(request.verb) ? Semaphore::Place::kLast : Semaphore::Place::kFirst;
  // From here on, the turn decides: the release waits no longer.
  Planner plan = [this, request = std::move(request), hooks = std::move(hooks)]() mutable {
    return plan_roll(request, std::exchange(hooks, PreFlip()));
  };
  co_return co_await change(std::move(options), std::move(plan), place);
}

// The hooks run before the flip's turn, so no other change waits. A request that would be refused in any case
// runs none.
Task<std::optional<Refusal>> Verbs::run_pre_flip(const RolloutRequest& request, const ChangeOptions& options,
                                                 PreFlip& hooks) {
  if (executor_.is_repetition(options)) co_return std::nullopt;
  const auto plan = plan_rollout(request, view_for(request));
  if (!plan) co_return std::nullopt;  // its turn says why
  hooks.jobs = pre_flip_jobs_of(*plan, hooks);
  if (hooks.jobs.empty()) co_return std::nullopt;
  if (auto refusal = executor_.refused_by_gates(Change(), options)) co_return refusal;
  if (options.client_is_gone()) co_return std::nullopt;  // its turn says so
  if (waiting_releases_.size() >= kMaxWaitingForHooks) co_return too_many_wait_for_hooks();
  std::vector<HookJob> jobs = hooks.jobs;
  std::vector<std::string> services;
  for (const ColourChange& change : plan->changes) services.push_back(change.name);
  hooks.place = waiting_releases_.add({.services = std::move(services),
                                       .to = plan->changes.front().to,
                                       .user = text_of(options.actor),
                                       .since_ms = clock_.wall_ms(),
                                       .is_given_up = options.client_is_gone});
  hooks.ends = co_await run_hooks_(std::move(jobs));
  const bool is_refused = std::any_of(hooks.ends.begin(), hooks.ends.end(),
                                      [](const HookEnd& end) { return end.outcome != HookOutcome::kPassed; });
  if (is_refused) hooks.place.reset();  // it moves nothing any more
  co_return std::nullopt;
}

// Returns the hooks that the plan waits for.
std::vector<HookJob> Verbs::pre_flip_jobs_of(const RolloutPlan& plan, const PreFlip& hooks) const {
  std::vector<HookMove> moves;
  for (const ColourChange& change : plan.changes) {
    const uint16_t share = change.ramp ? change.ramp->share() : kShareOne;
    if (begins_release(change)) moves.push_back({change.name, change.from, change.to, share_text(share)});
  }
  return pre_flip_jobs(moves, hooks.request, [this](const std::string& service) {
    return &executor_.catalogue().find(service)->config->rules.hooks;
  });
}

RolloutView Verbs::view_for(const RolloutRequest& request) const {
  RolloutView view = view_of(executor_.catalogue());
  if (request.verb == RolloutRequest::Verb::kFlip) judge_flips_back(request.to, view);
  // The latest step of a service with a release that waits is that release: calling it off undoes it.
  if (request.verb == RolloutRequest::Verb::kRollback && !request.to_generation)
    for (RolloutService& service : view.services)
      service.waits = waiting_releases_.holds(service.name, clock_.now());
  return view;
}

// A way back calls off the releases of its services that wait for their hooks, and its answer says so.
void Verbs::call_off_releases(const RolloutPlan& plan, const Actor& actor, Change& change) {
  std::vector<std::string> services = plan.unchanged;
  for (const ColourChange& each : plan.changes) services.push_back(each.name);
  for (std::string& sentence : waiting_releases_.call_off(services, text_of(actor), clock_.now()))
    change.warnings.push_back(std::move(sentence));
}

Task<Verbs::Planned> Verbs::plan_roll(RolloutRequest request, PreFlip hooks) {
  if (hooks.place && !(**hooks.place).called_off_by.empty())
    co_return tl::unexpected(called_off_during_pre_flip((**hooks.place).called_off_by));
  RolloutView view = view_for(request);
  if (request.to_generation) {
    const auto looked = co_await look_back(*request.to_generation, view);
    if (!looked) co_return tl::unexpected(looked.error());
  }
  tl::expected<RolloutPlan, Refusal> plan = plan_rollout(request, view);
  if (!plan) co_return tl::unexpected(plan.error());
  const Catalogue& catalogue = executor_.catalogue();
  learn_what_is_slow(*plan);
  if (plan->flipped_later) {
    const ServiceState& service = catalogue.state(*catalogue.find(*plan->flipped_later));
    co_return tl::unexpected(flipped_later(service, flipper(service), *request.seen_generation));
  }
  Change change = change_of(*plan, request.verb, catalogue);
  const Reach reach = known_reach(*plan);
  if (goes_forward(request.verb))
    if (auto refusal = refused_by_gates(*plan, request, hooks, reach, change))
      co_return tl::unexpected(std::move(*refusal));
  warn_of(reach, change);
  if (hooks.passes_gates && hooks.passes_gates(change)) call_off_releases(*plan, hooks.request.actor, change);
  if (goes_forward(request.verb) && file_differs())
    change.warnings.push_back(catalogue.config().path +
                              " was edited and not reloaded; teal reload --dry-run shows the differences");
  for (const std::string& warning : {way_back_is_lost(*plan, request.verb), steps_are_shared(*plan)})
    if (!warning.empty()) change.warnings.push_back(warning);
  tell_drains(*plan, change);
  if (goes_forward(request.verb)) change.fields["judged"] = judged_json(*plan, catalogue);
  if (goes_forward(request.verb)) warn_of_flips(*plan, change);
  if (request.verb == RolloutRequest::Verb::kFlip || request.verb == RolloutRequest::Verb::kRamp)
    change.fields["ramps"] = ramps_json(*plan);
  if (request.to_generation) change.fields["added_since"] = plan->added_since;
  if (request.verb != RolloutRequest::Verb::kRollback || request.to_generation) co_return change;
  auto nothing = nlohmann::ordered_json::array();
  for (const std::string& name : plan->nothing_to_undo) {
    const ServiceState& service = catalogue.state(*catalogue.find(name));
    nothing.push_back(nothing_to_undo_json(service, flipper(service)));
  }
  change.fields["nothing_to_undo"] = std::move(nothing);
  co_return change;
}

// Looks at all gates of a way forward. Force passes them, and the change then names those that were closed.
std::optional<Refusal> Verbs::refused_by_gates(const RolloutPlan& plan, const RolloutRequest& request,
                                               const PreFlip& hooks, const Reach& reach,
                                               Change& change) const {
  const Catalogue& catalogue = executor_.catalogue();
  const std::vector<HookJob> jobs = pre_flip_jobs_of(plan, hooks);
  change.fields["pre_flip"] = pre_flip_json(request.force ? std::vector<HookJob>() : jobs);
  if (hooks.is_due && !jobs.empty() && !(jobs == hooks.jobs)) return changed_during_pre_flip();
  std::vector<Refusal> refusals;
  std::vector<ClosedGate> closed;
  if (auto refusal = judged_bad(plan, closed)) refusals.push_back(std::move(*refusal));
  if (auto refusal = reach_gates(reach, plan, closed)) refusals.push_back(std::move(*refusal));
  if (auto refusal = preview_gate(plan, catalogue, publisher_, closed))
    refusals.push_back(std::move(*refusal));
  if (auto refusal = refused_by_pre_flip(hooks.jobs, hooks.ends)) refusals.push_back(std::move(*refusal));
  // Without a closed gate the executor refuses, also what is forced.
  if (const auto& lock = catalogue.inventory().lock; lock && !refusals.empty())
    refusals.insert(refusals.begin(), locked(*lock));
  if (!request.force) return all_reasons(std::move(refusals));
  for (const HookJob& job : jobs) closed.push_back({"pre_flip", job.services});
  tell_forced(closed, change);
  return std::nullopt;
}

// A ramp whose colour is bad goes on by force only.
std::optional<Refusal> Verbs::judged_bad(const RolloutPlan& plan, std::vector<ClosedGate>& closed) const {
  std::optional<Refusal> refusal;
  for (const ColourChange& change : plan.changes) {
    const std::optional<Ramp>& ramp = executor_.catalogue().service(change.service)->ramp;
    if (!ramp || change.kind == ColourChange::Kind::kAbort || !upkeep_.trials().is_bad(ramp->id)) continue;
    closed.push_back({"judgement", {change.name}});
    if (refusal) continue;
    const Finding* finding = upkeep_.trials().latest(change.name);
    refusal.emplace(
        422, "refused",
        "nothing was changed: " + (finding != nullptr ? text_of(*finding) : change.name + " is bad"),
        fmt::format("teal abort {} takes the share back; --force goes on all the same", change.name));
  }
  return refusal;
}

// Warns of a flip that has little to be judged by, and of clients of a preview that it sends to the other
// colour.
void Verbs::warn_of_flips(const RolloutPlan& plan, Change& change) const {
  constexpr uint64_t kFew = 100;
  std::vector<std::string> few, previewed;
  for (const ColourChange& each : plan.changes) {
    if (each.ramp || each.kind != ColourChange::Kind::kFlip) continue;
    const ServiceState& service = *executor_.catalogue().service(each.service);
    const bool is_judged =
        each.is_release && each.share_before == 0 &&
        executor_.catalogue().find(each.name)->config->rules.bake > std::chrono::milliseconds(0);
    const uint64_t flows = is_judged ? upkeep_.trials().flows_of_past(service) : 0;
    if (flows != 0 && flows < kFew) few.push_back(fmt::format("{} ({})", each.name, flows));
    if (!service.preview_clients.empty()) previewed.push_back(each.name);
  }
  if (!few.empty())
    change.warnings.push_back(
        fmt::format("fewer than {} new flows in the last 5 minutes to compare with: {}: Teal finds only a "
                    "colour that nearly always fails",
                    kFew, listed(few)));
  if (!previewed.empty())
    change.warnings.push_back("the clients of a preview get the colour that is idle from now on: " +
                              listed(previewed));
}

// A ramp that begins keeps the times of its old colour: the colours are compared by them.
void Verbs::learn_what_is_slow(RolloutPlan& plan) const {
  for (ColourChange& change : plan.changes)
    if (change.ramp && change.ramp->id == 0)
      change.ramp->slow_us = upkeep_.trials().slow_us(*executor_.catalogue().service(change.service));
}

Verbs::Planned Verbs::plan_next(const std::vector<std::string>& services) const {
  const RolloutRequest request{.verb = RolloutRequest::Verb::kNext, .what = {.services = services}};
  const Catalogue& catalogue = executor_.catalogue();
  const tl::expected<RolloutPlan, Refusal> plan = plan_rollout(request, view_of(catalogue));
  if (!plan) return tl::unexpected(plan.error());
  Change change = change_of(*plan, request.verb, catalogue);
  const Reach reach = known_reach(*plan);
  if (auto refusal = cannot_serve(reach, *plan)) return tl::unexpected(*refusal);
  warn_of(reach, change);
  return change;
}

// Plans a rollback that nobody asked for. It is refused where no backend of the old colour can serve.
Verbs::Planned Verbs::plan_way_back(const std::vector<std::string>& services) const {
  const RolloutRequest request{.verb = RolloutRequest::Verb::kRollback, .what = {.services = services}};
  const Catalogue& catalogue = executor_.catalogue();
  const tl::expected<RolloutPlan, Refusal> plan = plan_rollout(request, view_of(catalogue));
  if (!plan) return tl::unexpected(plan.error());
  const Reach reach = look_at_reach(*plan);
  if (auto refusal = cannot_serve(reach, *plan)) return tl::unexpected(*refusal);
  return change_of(*plan, request.verb, catalogue);
}

Task<Verbs::Result> Verbs::pause(Selection what, ChangeOptions options) {
  Planner plan = [this, what = std::move(what), reason = options.reason]() -> Task<Planned> {
    const Catalogue& catalogue = executor_.catalogue();
    co_return plan_pause(what, reason, view_of(catalogue), catalogue);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<Verbs::Result> Verbs::resume(Selection what, ChangeOptions options) {
  Planner plan = [this, what = std::move(what)]() -> Task<Planned> {
    const Catalogue& catalogue = executor_.catalogue();
    co_return plan_resume(what, view_of(catalogue), catalogue);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

// Tells the drains as they would begin now. The answer has them as they began.
void Verbs::tell_drains(const RolloutPlan& plan, Change& change) const {
  change.fields["drains"] = drains_begun(plan.changes, executor_.catalogue(), publisher_, clock_);
  std::vector<std::string> services;
  for (const ColourChange& colour : plan.changes) services.push_back(colour.name);
  change.complete = [this, services = std::move(services)](nlohmann::ordered_json& fields) {
    fields["drains"] = drains_in_force(services, executor_.catalogue(), publisher_, clock_);
  };
}

// Says which services a flip to `to` would take back.
void Verbs::judge_flips_back(Colour to, RolloutView& view) const {
  const Catalogue& catalogue = executor_.catalogue();
  for (RolloutService& service : view.services) {
    if (!service.undo || service.undo->to != to) continue;
    const CatalogueService& known = *catalogue.find(service.name);
    const ServiceState& state = catalogue.state(known);
    // Flows of a preview or of a ramp began since the flip: they say nothing about it.
    const bool has_flows = draining_of(known, to, state.flip_generation, publisher_).live != 0;
    service.flip_back_undoes = flip_back_undoes(state, has_flows, clock_.wall_ms());
  }
}

Reach Verbs::look_at_reach(const RolloutPlan& plan) const {
  return reach_of(plan, executor_.catalogue(), facts_, clock_.now(), publisher_.dataplane_pid());
}

// Without a dataplane nothing is known.
Reach Verbs::known_reach(const RolloutPlan& plan) const {
  return plan.changes.empty() || !publisher_.dataplane_running() ? Reach() : look_at_reach(plan);
}

// Returns the name of the user who made the present colour active; "" if it is not known.
std::string Verbs::flipper(const ServiceState& service) const {
  return service.flipped_by ? users_.known(service.flipped_by->uid) : "";
}

// Fills in the active colours at that generation.
Task<tl::expected<void, Refusal>> Verbs::look_back(uint64_t generation, RolloutView& view) {
  const auto flips = co_await recorder_.flips_since(generation);
  if (!flips)
    co_return tl::unexpected(Refusal{503, "storage", flips.error(), "teal flip SERVICE --to COLOUR", {}});
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

}  // namespace teal
