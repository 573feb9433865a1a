// SPDX-License-Identifier: Apache-2.0
#include "control/change/upkeep.h"

#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/change/drain.h"
#include "control/change/published_form.h"
#include "control/state/splits.h"

namespace teal {

Upkeep::Upkeep(ChangeExecutor& executor, Publisher& publisher, Steering& steering, Events& events,
               Trials& trials, std::string run_dir, const Clock& clock)
    : executor_(executor),
      publisher_(publisher),
      steering_(steering),
      events_(events),
      trials_(trials),
      clock_(clock),
      trends_(std::move(run_dir)) {
  executor_.on_flip([this](const std::vector<ServiceState>& states) {
    trends_.flip(states, executor_.catalogue(), publisher_);
    trials_.flipped(states, executor_.catalogue());
  });
}

Task<Upkeep::Followed> Upkeep::follow_segment() {
  const Turn turn = co_await executor_.turn();
  Followed followed = co_await follow(turn, false);
  if (followed) {
    executor_.acknowledge_if_adopted(turn);
    co_await advance_ramps(turn);
    co_await reset_overdue(turn);
  }
  co_return followed;
}

Task<Upkeep::Followed> Upkeep::follow_segment(const Turn& turn) {
  co_return co_await follow(turn, true);
}

Task<Upkeep::Followed> Upkeep::follow(const Turn& turn, bool at_once) {
  const tl::expected<Publisher::News, std::string> news = publisher_.refresh();
  if (!news) co_return tl::unexpected(news.error());
  if (const auto recover = std::exchange(recover_, nullptr)) co_await recover(turn);
  if (news->new_segment || news->dataplane_started)
    for (Backoff* retry : {&publishing_, &resetting_, &releasing_, &stepping_, &answering_}) retry->reset();
  everything_due_ = everything_due_ || news->new_segment;
  const bool publishes = everything_due_ && (at_once || publishing_.is_due());
  if (publishes) {
    std::string why = news->new_segment ? "a new segment" : "a start of teald";
    co_await publish_everything(turn, std::move(why));
  }
  if (publishes || news->dataplane_started) {
    if (publisher_.is_steered()) steering_.add();
    executor_.need_hops();
  }
  co_return Followed();
}

// Carries out a change of upkeep. The executor logs a failure.
Task<ChangeExecutor::Result> Upkeep::attempt(const Turn& turn, Change change, std::string reason,
                                             Backoff& retry) {
  change.is_upkeep = true;
  change.is_retry = retry.is_failing();
  ChangeOptions options{.reason = std::move(reason), .actor = Actor::teald()};
  ChangeExecutor::Result result = co_await executor_.execute(turn, std::move(change), std::move(options));
  const bool published = result || result.error().code == "adoption_timeout";
  published ? retry.reset() : retry.failed();
  co_return result;
}

Task<void> Upkeep::publish_everything(const Turn& turn, std::string why) {
  everything_due_ = false;
  if (!publisher_.attached()) co_return;
  co_await executor_.learn_from_segment(turn);
  if (segment_has_everything()) {
    publishing_.reset();
    co_await executor_.acknowledge_present(turn);
    co_return;
  }
  Change change{.verb = "publish"};
  change.republish = true;
  change.despite_disk = change.despite_lock = true;
  const auto result = co_await attempt(turn, std::move(change), std::move(why), publishing_);
  if (result || result.error().code != "no_free_slot") co_return;
  spdlog::warn("the segment does not have everything yet; trying again");
  everything_due_ = true;
}

bool Upkeep::segment_has_everything() const {
  if (publisher_.generation() == 0) return false;
  Change change;
  change.republish = true;
  const Catalogue& catalogue = executor_.catalogue();
  const auto rules = ruleset_after(change, catalogue);
  if (!rules || !same_rules(**rules, *publisher_.ruleset())) return false;
  const auto splits = splits_after(change, catalogue, publisher_.splits(), clock_);
  return same_splits(catalogue.inventory(), *splits, *publisher_.splits());
}

Task<void> Upkeep::reset_overdue(const Turn& turn) {
  if (!publisher_.attached() || !publisher_.dataplane_running()) co_return;
  Change change = plan_overdue_resets(executor_.catalogue(), publisher_, clock_.tick());
  if (change.empty()) co_return resetting_.reset();
  if (!resetting_.is_due()) co_return;
  std::string why = "the deadline of the drain is over";
  (void)co_await attempt(turn, std::move(change), std::move(why), resetting_);
}

// Steps wait while nobody can see them: without a dataplane, or under a lock. A step that a gate refuses
// pauses the ramp.
Task<void> Upkeep::advance_ramps(const Turn& turn) {
  const Catalogue& catalogue = executor_.catalogue();
  if (!publisher_.dataplane_running() || catalogue.inventory().lock) co_return ramps_.begin_again();
  const auto due = ramps_.due(catalogue, clock_.now());
  if (due.empty() || !stepping_.is_due()) co_return;
  for (const std::vector<std::string>& services : due) {
    const Ramp& ramp = *catalogue.state(*catalogue.find(services.front())).ramp;
    const auto on_few = on_few_of(services, catalogue);
    if ((trials_.is_bad(ramp.id) || trials_.has_finding(ramp.id)) && !are_only_told(services, catalogue))
      continue;  // it is rolled back, or will be
    if (on_few == RolloutRules::OnFew::kGo || trials_.has_seen_enough(ramp.id)) {
      co_await advance(turn, services);
    } else if (on_few == RolloutRules::OnFew::kPause) {
      std::string why =
          fmt::format("the step is over, with fewer than {} new flows", Trials::kFewestOutcomes);
      co_await pause(turn, services, std::move(why));
    }
  }
}

// Begins the next step of the services of one ramp. A step that found no free slot is tried again when one is
// free: each attempt has a row in the history, for its intent.
Task<void> Upkeep::advance(const Turn& turn, const std::vector<std::string>& services) {
  if (stepping_.is_failing() && !publisher_.grace_period_over()) co_return;
  tl::expected<Change, Refusal> change = plan_step_(services);
  std::string why = change ? "the time of the step is over" : change.error().message;
  if (!change) co_return co_await pause(turn, services, std::move(why));
  change->verb = "step";
  (void)co_await attempt(turn, std::move(*change), std::move(why), stepping_);
}

Task<void> Upkeep::pause(const Turn& turn, const std::vector<std::string>& services, std::string why) {
  const Catalogue& catalogue = executor_.catalogue();
  tl::expected<Change, Refusal> change =
      plan_pause({.services = services}, why, view_of(catalogue), catalogue);
  if (!change) co_return;
  change->despite_disk = true;
  (void)co_await attempt(turn, std::move(*change), std::move(why), stepping_);
}

void Upkeep::look_at_rollouts() {
  const std::shared_ptr<Segment> segment = publisher_.segment();
  const uint32_t epoch = segment == nullptr ? 0 : segment->header().dataplane_epoch.load();
  trials_.look(executor_.catalogue(), publisher_.splits() != nullptr, epoch);
}

Task<void> Upkeep::judge() {
  if (!publisher_.dataplane_running()) co_return;
  std::vector<Finding> found = trials_.findings(executor_.catalogue());
  for (Finding& finding : found) co_await answer(std::move(finding));
}

// A way back that is refused, or fails, is tried again: the old colour may be well a second later.
Task<void> Upkeep::answer(Finding finding) {
  using OnBad = RolloutRules::OnBad;
  if (finding.verdict.judgement == Judgement::kBothSick) {
    (void)trials_.note(finding, "nothing");
    co_return tell_of(finding, "nothing");
  }
  const Turn turn = co_await executor_.turn(Semaphore::Place::kFirst);
  const std::vector<std::string> services = still_on(finding, executor_.catalogue());
  if (services.empty()) co_return;  // an operator was faster
  if (finding.on_bad == OnBad::kTell || (finding.on_bad == OnBad::kPause && !finding.is_of_ramp)) {
    trials_.answered(finding);
    if (trials_.note(finding, "nothing")) tell_of(finding, "nothing");
    co_return;
  }
  tl::expected<Change, Refusal> change = plan_answer(finding, services);
  if (!change) {
    trials_.put_off(finding);
    if (!trials_.note(finding, "refused")) co_return;
    spdlog::error("Teal cannot go back by itself: {}", change.error().message);
    co_return tell_of(finding, "refused");
  }
  make_answer(finding, executor_.catalogue(), *change);
  if (trials_.note(finding, change->verb)) tell_of(finding, change->verb);
  std::string why = text_of(finding);
  const auto result = co_await attempt(turn, std::move(*change), std::move(why), answering_);
  if (result || result.error().code == "adoption_timeout")
    trials_.answered(finding);
  else
    trials_.put_off(finding);
}

tl::expected<Change, Refusal> Upkeep::plan_answer(const Finding& finding,
                                                  const std::vector<std::string>& services) const {
  const Catalogue& catalogue = executor_.catalogue();
  if (finding.on_bad == RolloutRules::OnBad::kPause)
    return plan_pause({.services = services}, text_of(finding), view_of(catalogue), catalogue);
  return plan_rollback_(services);
}

// `action` is the verb of the change that follows, "nothing" or "refused".
void Upkeep::tell_of(const Finding& finding, std::string_view action) {
  spdlog::warn("{}", text_of(finding));
  nlohmann::ordered_json told = {{"generation", finding.rollout},
                                 {"judgement", name_of(finding.verdict.judgement)},
                                 {"action", action},
                                 {"text", text_of(finding)},
                                 {"evidence", evidence_json(finding)}};
  told.update(counted_list("members", finding.services));
  events_.tell("judged", std::move(told));
}

Task<void> Upkeep::tidy() {
  const Turn turn = co_await executor_.turn();
  co_await executor_.record_what_is_missing(turn);
  if (!publisher_.refused().empty()) co_return;  // the flows are not known
  if (!publisher_.has_flows() || publisher_.counts_are_exact()) {
    trends_.sample(executor_.catalogue(), publisher_, clock_.now());
    tell_of_ended_drains();
  }
  if (!publisher_.grace_period_over()) co_return;
  if (publisher_.is_steered() && steering_.cleanup_due()) steering_.clean_up();
  co_await executor_.save_if_due(turn);
  co_await release_retired(turn);
}

// One event tells of all drains that one flip began and that ended in the same way.
void Upkeep::tell_of_ended_drains() {
  struct Together {
    std::vector<std::string> services;
    uint64_t flows = 0;
  };
  std::map<std::tuple<uint64_t, Colour, std::string_view>, Together> ended;  // by flip, colour, and by what
  for (const auto& end : trends_.take_ended()) {
    const std::string_view by = end.is_drained() ? "" : end.flows ? "flip" : "reload";
    Together& together = ended[{end.drain.flip_generation, end.drain.colour, by}];
    together.services.push_back(end.drain.service);
    together.flows += end.flows.value_or(0);
  }
  for (const auto& [key, together] : ended) {
    const auto& [generation, colour, by] = key;
    nlohmann::ordered_json told = {{"colour", name_of(colour)}, {"generation", generation}};
    told.update(counted_list("drains", together.services));
    if (by == "flip") told["flows"] = together.flows;
    if (!by.empty()) told["by"] = by;
    events_.tell(by.empty() ? "drained" : "drain_ended", std::move(told));
  }
}

Task<void> Upkeep::release_retired(const Turn& turn) {
  if (!executor_.catalogue().inventory().has_retired() || !releasing_.is_due()) co_return;
  if (publisher_.has_flows() && !publisher_.counts_are_exact()) co_return;
  auto release = retired_.look(executor_.catalogue().inventory(),
                               [this](uint16_t backend) { return publisher_.holds_flows(backend); });
  if (!release) co_return;
  std::string why = "retired backends gone";
  const auto result = co_await attempt(turn, std::move(release->change), std::move(why), releasing_);
  if (!result && result.error().code != "adoption_timeout") co_return;
  if (!release->addresses.empty()) events_.tell("released", counted_list("backends", release->addresses));
}

void Upkeep::set_local_addresses(const std::vector<IpAddress>& addresses) {
  if (steering_.want_local(addresses) && publisher_.is_steered()) steering_.add();
}

}  // namespace teal
