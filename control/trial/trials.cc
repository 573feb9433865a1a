// SPDX-License-Identifier: Apache-2.0
#include "control/trial/trials.h"

#include <algorithm>

#include <spdlog/spdlog.h>

namespace teal {

namespace {

using std::chrono::milliseconds;
using OldColour = FlipJudge::OldColour;

std::string name_in(const std::vector<TrialMember>& members, uint16_t service) {
  for (const TrialMember& member : members)
    if (member.service == service) return member.name;
  return "";
}

// Returns the services of a rollout, in the order of the catalogue: the members of its trial, and after a
// full flip also the services that the flip moved without a bake. They are not judged, and go back with the
// others.
std::vector<std::string> services_of(const std::vector<TrialMember>& members, const Finding& finding,
                                     const Catalogue& catalogue) {
  std::vector<std::string> services;
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    const bool is_member = std::any_of(members.begin(), members.end(), [&](const TrialMember& member) {
      return member.service == service.id;
    });
    const bool is_flipped = !finding.is_of_ramp && !state.ramp && state.undo &&
                            state.flip_generation == finding.rollout && state.active == finding.tested;
    if (is_member || is_flipped) services.push_back(state.name);
  }
  return services;
}

}  // namespace

RolloutRules::OnBad most_careful(const std::vector<std::string>& services, const Catalogue& catalogue) {
  auto on_bad = RolloutRules::OnBad::kTell;
  for (const std::string& name : services)
    if (const CatalogueService* service = catalogue.find(name); service != nullptr)
      on_bad = std::min(on_bad, service->config->rules.on_bad);
  return on_bad;
}

std::string text_of(const Finding& finding) {
  return finding.worst + ": " + line_of(finding.verdict);
}

nlohmann::ordered_json evidence_json(const Finding& finding) {
  const Verdict& verdict = finding.verdict;
  return {{"service", finding.worst},
          {"signal", name_of(verdict.stream.signal)},
          {"services", verdict.services},
          {"tested", name_of(finding.tested)},
          {"flows", verdict.of_tested.begun},
          {"failed", verdict.of_tested.failed},
          {"other_flows", verdict.of_other.begun},
          {"other_failed", verdict.of_other.failed},
          {"log10_value", log10_value(verdict)}};
}

Trials::Trials(TrialSource source, OldColourChecks checks, std::string run_dir, const Clock& clock)
    : source_(std::move(source)), checks_(std::move(checks)), run_dir_(std::move(run_dir)), clock_(clock) {
  auto starts = read_trials_file(run_dir_);
  if (starts)
    starts_ = std::move(*starts);
  else
    spdlog::warn("flips of before are not judged: {}", starts.error());
}

// --- the life of trials ---

void Trials::look(const Catalogue& catalogue, bool is_published, uint32_t epoch) {
  trial_of_.clear();
  if (!is_published) return running_.clear();
  const Clock::Time now = clock_.now();
  const bool has_other_workers = epoch_ && *epoch_ != epoch;
  epoch_ = epoch;
  if (has_other_workers) past_.begin_again();
  past_.sample(catalogue, source_, now);
  WantedTrials wanted = wanted_trials(catalogue);
  end_bakes(wanted);
  end_trials(wanted);
  forget_unknown(catalogue);
  for (const auto& [key, trial] : wanted) {
    if (!running_.contains(key)) begin(key, trial);
    Running& running = running_.at(key);
    running.bakes_until = trial.flip + trial.bake;
    running.paused = trial.paused;
    if (has_other_workers) running.trial.begin_from(source_);
    if (running.forgiven_until && now >= *running.forgiven_until) {
      running.forgiven_until.reset();
      count_from_now(running, false);
    }
    running.trial.follow_share(trial.share, now);
    running.trial.look(source_, now);
    running.verdict = running.trial.verdict(OldColour::kNotAsked);
    for (const TrialMember& member : trial.members) trial_of_[member.service] = &*running_.find(key);
  }
}

// A ramp that the segment has taught teald has no id before it goes on.
Trials::WantedTrials Trials::wanted_trials(const Catalogue& catalogue) const {
  WantedTrials wanted;
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    const TrialMember member{service.id, state.name, state.vip.protocol != kProtocolTcp};
    if (state.ramp && state.ramp->id != 0) {
      Wanted& trial = wanted[{state.ramp->id, true, other(state.active)}];
      trial.share = std::max(trial.share, state.share());  // an operator may move one service of a group
      trial.paused += state.ramp->paused ? 1 : 0;
      trial.members.push_back(member);
    } else if (is_baking(state)) {
      Wanted& trial = wanted[{state.flip_generation, false, state.active}];
      const int64_t flipped_at = starts_.at({state.flip_generation, state.name}).flipped_at_ms;
      // A file of another boot may name a time to come.
      trial.flip = Clock::Time(milliseconds(std::min(flipped_at, clock_.steady_ms())));
      trial.bake = std::max(trial.bake, service.config->rules.bake);
      trial.members.push_back(member);
    }
  }
  return wanted;
}

void Trials::end_bakes(WantedTrials& wanted) {
  const size_t before = starts_.size();
  std::erase_if(wanted, [&](const auto& entry) {
    const auto& [key, trial] = entry;
    if (std::get<1>(key) || clock_.now() < trial.flip + trial.bake) return false;
    for (const TrialMember& member : trial.members) starts_.erase({std::get<0>(key), member.name});
    return true;
  });
  if (starts_.size() != before) keep_starts();
}

void Trials::end_trials(const WantedTrials& wanted) {
  std::erase_if(running_, [&](const auto& entry) {
    const auto as_now = wanted.find(entry.first);
    if (as_now == wanted.end() || as_now->second.members != entry.second.trial.members()) return true;
    const bool goes_on_again = as_now->second.paused < entry.second.paused;
    return entry.second.answered_as && goes_on_again;  // the operator has seen what was found
  });
}

void Trials::begin(const Key& key, const Wanted& wanted) {
  const auto [rollout, is_ramp, tested] = key;
  for (const TrialMember& member : wanted.members)
    if (const auto old = latest_.find(member.name); old != latest_.end() && old->second->rollout != rollout)
      latest_.erase(old);
  if (is_ramp) {
    running_.emplace(key, Running{.trial = Trial(wanted.members, tested, source_, clock_.now())});
    return;
  }
  std::vector<TrialStart> starts;
  starts.reserve(wanted.members.size());
  for (const TrialMember& member : wanted.members) starts.push_back(starts_.at({rollout, member.name}));
  const bool is_forgiven =
      std::any_of(starts.begin(), starts.end(), [](const TrialStart& start) { return start.is_forgiven; });
  Running& running =
      running_.emplace(key, Running{.trial = Trial(wanted.members, tested, std::move(starts), wanted.flip)})
          .first->second;
  if (!is_forgiven) return;
  running.trial.begin_from(source_);
  forgive(running);
}

void Trials::flipped(const std::vector<ServiceState>& states, const Catalogue& before) {
  const auto is_flipped = [&](const TrialMember& member) {
    return std::any_of(states.begin(), states.end(),
                       [&](const ServiceState& state) { return state.id == member.service; });
  };
  trial_of_.clear();
  std::erase_if(running_, [&](const auto& entry) {
    const auto& members = entry.second.trial.members();
    return std::any_of(members.begin(), members.end(), is_flipped);
  });
  for (const ServiceState& state : states) {
    std::erase_if(starts_, [&](const auto& entry) { return entry.first.second == state.name; });
    const CatalogueService* service = before.find(state.name);
    if (service == nullptr || state.ramp || !state.undo) continue;
    if (service->config->rules.bake.count() == 0) {
      latest_.erase(state.name);  // no trial begins that would forget it
      continue;
    }
    const Past::Window window = past_.of(before.state(*service), source_, clock_.now());
    starts_[{state.flip_generation, state.name}] = {.old_colour = window.cells,
                                                    .flows_per_second = window.flows_per_second,
                                                    .at_flip = source_.cells(state.id, state.active),
                                                    .flipped_at_ms = clock_.steady_ms()};
  }
  keep_starts();
}

void Trials::keep_starts() const {
  if (const auto written = write_trials_file(run_dir_, starts_); !written)
    spdlog::warn("a restart of teald would not go on with its judgement: {}", written.error());
}

void Trials::forget_unknown(const Catalogue& catalogue) {
  std::erase_if(latest_, [&](const auto& entry) { return catalogue.find(entry.first) == nullptr; });
}

// --- what they find ---

// Returns what a trial with a bad colour found; nothing: the checks of the old colour have not ended.
std::optional<Verdict> Trials::verdict_of(Running& running) {
  const Verdict& verdict = running.verdict;
  if (running.trial.is_of_ramp()) return verdict;
  const uint16_t service = verdict.stream.service;
  const Colour old_colour = other(running.trial.tested());
  if (!running.asked_at || running.asked_of != service) {
    if (!checks_.ask(service, old_colour)) return verdict;
    running.asked_at = clock_.now();
    running.asked_of = service;
  }
  const bool is_over = clock_.now() >= *running.asked_at + kLongestCheck;
  const std::optional<OldColour> answer = checks_.answer(service, old_colour, *running.asked_at, is_over);
  if (!answer) return std::nullopt;
  return running.trial.verdict(*answer);
}

std::vector<Finding> Trials::findings(const Catalogue& catalogue) {
  std::vector<Finding> found;
  for (auto& [key, running] : running_) {
    if (clock_.now() < running.again_at) continue;
    if (running.verdict.judgement != Judgement::kBad) {
      running.asked_at.reset();
      continue;
    }
    const std::vector<TrialMember>& members = running.trial.members();
    auto finding = std::make_shared<Finding>();
    std::tie(finding->rollout, finding->is_of_ramp, finding->tested) = key;
    finding->services = services_of(members, *finding, catalogue);
    finding->on_bad = most_careful(finding->services, catalogue);
    if (running.answered_as && finding->on_bad >= *running.answered_as)
      continue;  // a reload may ask for more
    const std::optional<Verdict> verdict = verdict_of(running);
    if (!verdict) continue;
    const bool is_known =
        running.finding != nullptr && running.finding->verdict.judgement == verdict->judgement;
    finding->worst = name_in(members, verdict->stream.service);
    finding->verdict = *verdict;
    finding->at_ms = clock_.wall_ms();
    if (is_known) finding->action = running.finding->action;
    for (const std::string& service : finding->services) latest_[service] = finding;
    running.finding = finding;
    if (verdict->judgement == Judgement::kBothSick) forgive(running);
    found.push_back(*finding);
  }
  return found;
}

// Drops what was seen since the flip, and what is seen in the next kForgetNs.
void Trials::forgive(Running& running) {
  running.trial.forget(clock_.now());
  running.verdict = {};
  running.asked_at.reset();
  running.forgiven_until = clock_.now() + std::chrono::nanoseconds(FlipJudge::kForgetNs);
  count_from_now(running, true);
}

// A trial that begins again must not see what this one has dropped.
void Trials::count_from_now(const Running& running, bool is_forgiven) {
  for (const TrialMember& member : running.trial.members()) {
    for (auto& [of, start] : starts_) {
      if (of.second != member.name) continue;
      start.at_flip = source_.cells(member.service, running.trial.tested());
      start.is_forgiven = is_forgiven;
    }
  }
  keep_starts();
}

bool Trials::note(const Finding& finding, const std::string& action) {
  const auto running = running_.find(key_of(finding));
  if (running == running_.end() || running->second.finding == nullptr) return true;
  std::string& noted = running->second.finding->action;
  const bool is_new = noted != action;
  noted = action;
  return is_new;
}

void Trials::answered(const Finding& finding) {
  const auto entry = running_.find(key_of(finding));
  if (entry == running_.end()) return;
  Running& running = entry->second;
  running.answered_as = finding.on_bad;
  // All members are paused now. An operator may resume them before the next look.
  if (running.trial.is_of_ramp() && finding.on_bad == RolloutRules::OnBad::kPause)
    running.paused = running.trial.members().size();
}

void Trials::put_off(const Finding& finding) {
  if (const auto running = running_.find(key_of(finding)); running != running_.end())
    running->second.again_at = clock_.now() + kAgain;
}

// --- what others ask ---

const Trials::Running* Trials::ramp_of(uint64_t id) const {
  for (const Colour tested : {Colour::kBlue, Colour::kGreen})
    if (const auto running = running_.find({id, true, tested}); running != running_.end())
      return &running->second;
  return nullptr;
}

bool Trials::has_seen_enough(uint64_t ramp) const {
  const Running* running = ramp_of(ramp);
  return running != nullptr && running->trial.seen_in_step() >= kFewestOutcomes;
}

bool Trials::is_bad(uint64_t ramp) const {
  const Running* running = ramp_of(ramp);
  return running != nullptr && running->verdict.judgement == Judgement::kBad;
}

bool Trials::has_finding(uint64_t ramp) const {
  const Running* running = ramp_of(ramp);
  return running != nullptr && running->finding != nullptr;
}

std::optional<TrialView> Trials::view_of(uint16_t service) const {
  const auto found = trial_of_.find(service);
  if (found == trial_of_.end()) return std::nullopt;
  const auto& [key, running] = *found->second;
  TrialView view{.rollout = std::get<0>(key),
                 .is_of_ramp = std::get<1>(key),
                 .tested = running.trial.tested(),
                 .bake_seconds_left = {},
                 .seen_in_step = running.trial.seen_in_step(),
                 .verdict = running.verdict,
                 .worst = name_in(running.trial.members(), running.verdict.stream.service),
                 .signals = running.trial.figures_of(service)};
  const auto left = running.bakes_until - clock_.now();
  if (!view.is_of_ramp) view.bake_seconds_left = std::max(std::chrono::duration<double>(left).count(), 0.0);
  return view;
}

const Finding* Trials::latest(const std::string& service) const {
  const auto found = latest_.find(service);
  return found == latest_.end() ? nullptr : found->second.get();
}

}  // namespace teal
