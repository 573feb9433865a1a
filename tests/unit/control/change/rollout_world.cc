// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/change/rollout_world.h"

#include <filesystem>
#include <fstream>

#include "tests/unit/control/faulty_disk.h"

namespace teal {

using namespace std::chrono_literals;
using OnBad = RolloutRules::OnBad;
using OnFew = RolloutRules::OnFew;

RolloutWorld::RolloutWorld(uint64_t seed, RolloutTotals& totals) : totals_(totals), random_(seed) {
  FaultyDisk::use(dir.file("disk"));
  write_rules_at_random(seed);
  EXPECT_TRUE(reload());
}

void RolloutWorld::write_rules_at_random(uint64_t seed) {
  static constexpr OnBad kOnBad[] = {OnBad::kRollback, OnBad::kRollback, OnBad::kPause, OnBad::kTell};
  static constexpr OnFew kOnFew[] = {OnFew::kGo, OnFew::kWait, OnFew::kPause};
  on_bad_ = kOnBad[pick(4)];
  on_few_ = kOnFew[pick(3)];
  bake_ = pick(2) == 0 ? 5s : 12s;
  has_checks_ = pick(2) == 0;
  std::string toml = kShopToml;
  const auto replace = [&](const std::string& from, const std::string& to) {
    toml.replace(toml.find(from), from.size(), to);
  };
  const std::string bake = std::to_string(bake_.count()) + "s";
  replace("on_few = \"go\"", std::string("on_few = \"") + kOnFewNames[static_cast<size_t>(on_few_)] +
                                 "\"\nbake = \"" + bake + "\"\non_bad = \"" +
                                 kOnBadNames[static_cast<size_t>(on_bad_)] + "\"");
  if (pick(2) == 0) {
    configured_[0] = {1000, 5000, kShareOne};
    replace("green = [\"198.18.2.21:8080\"]\n",
            "green = [\"198.18.2.21:8080\"]\n"
            "rollout = { steps = [\"10%\", \"50%\", \"100%\"], every = \"1950ms\" }\n");
  }
  std::ofstream(dir.file("teal.toml")) << toml;
  trace_ = "TEAL_SEED=" + std::to_string(seed) + ": on_bad " + kOnBadNames[static_cast<size_t>(on_bad_)] +
           ", on_few " + kOnFewNames[static_cast<size_t>(on_few_)] + ", bake " + bake +
           (has_checks_ ? ", checks" : "") + (configured_[0].empty() ? "" : ", steps") + "\n";
}

// --- faults ---

void RolloutWorld::set_disk(const std::string& word) {
  is_disk_broken_ = word != "works";
  FaultyDisk::set(dir.file("disk"), word);
}
void RolloutWorld::change_disk() {
  ++totals_.faults;
  const std::string word = is_disk_broken_ ? "works" : pick(2) == 0 ? "full" : "fails";
  trace_ += "the disk " + word + "\n";
  set_disk(word);
  if (word == "works") make_good();
}
void RolloutWorld::make_good() {
  if (!teald->recorder.is_open()) restart();
  tidy();
  EXPECT_TRUE(teald->journal.unrecorded().empty()) << teald->journal.why() << "\n" << trace_;
}

// teald knows everything by the disk, or by the segment.
void RolloutWorld::restart() {
  if (is_disk_broken_ && !has_segment()) return;
  trace_ += "teald restarts\n";
  ++totals_.faults;
  const auto counted = teald->counted;
  const bool is_pause_lost = !teald->journal.unrecorded().empty();  // the copy in the run directory has it
  const bool had_segment = has_segment();
  const Clock::Time now = clock.now();
  start_teald();
  teald->counted = counted;
  tell_routes();
  may_back_off_ = false;
  for (uint16_t id = 0; id < kServices; ++id) {
    watches_[id].step_seen.reset();
    watches_[id].past.reset();
    std::optional<PlainRamp>& ramp = model_[id].ramp;
    if (ramp && ramp->goes_on() && !had_segment) ramp->paused = true;
    const std::optional<Ramp>& seen = service(kNames[id]).ramp;
    if (ramp && seen && is_pause_lost) ramp->paused = seen->paused.has_value();
  }
  see_steps(now);
}
bool RolloutWorld::has_segment() const {
  return std::filesystem::exists(dir.file("run/segment"));
}

void RolloutWorld::change_dataplane() {
  is_settled_ = false;
  ++totals_.faults;
  if (is_alive_) {
    trace_ += "the dataplane ends\n";
    pick(2) == 0 ? dataplane->die() : dataplane.reset();
    is_alive_ = false;
    return;
  }
  if (pick(3) == 0 && disk_records() && teald->journal.unrecorded().empty()) {
    trace_ += "the segment is lost\n";
    lose_segment();
    teald->counted.clear();
    past_counts_from_ = clock.now() + Past::kEvery + 1s;
    if (pick(2) == 0) return;
  }
  trace_ += "a dataplane starts\n";
  dataplane.reset();
  start_dataplane(1 + static_cast<uint32_t>(pick(2)));
  is_alive_ = true;
  may_back_off_ = false;
  for (RolloutWatch& watch : watches_) watch.past.reset();
}

void RolloutWorld::change_lock() {
  const Result result = is_locked_ ? unlock() : lock();
  trace_ += std::string(is_locked_ ? "unlock" : "lock") + (result ? "" : ": refused") + "\n";
  ASSERT_EQ(result.has_value(), disk_records()) << trace_;
  if (result) is_locked_ = !is_locked_;
}

void RolloutWorld::change_routes() {
  ++totals_.faults;
  const auto id = static_cast<uint16_t>(pick(kServices));
  const Colour colour = pick(2) == 0 ? kBlue : kGreen;
  bool& is_cut = is_cut_[id][static_cast<size_t>(colour)];
  is_cut = !is_cut;
  trace_ += std::string(kNames[id]) + ": " + name_of(colour) + (is_cut ? " has no route\n" : " has routes\n");
  ways_back_from_ = clock.now() + Trials::kAgain;
  tell_routes();
}

void RolloutWorld::tell_routes() {
  for (uint16_t id = 0; id < kServices; ++id)
    for (size_t colour = 0; colour < kColours; ++colour)
      for (const PoolMember& member : teald->executor.catalogue().find(kNames[id])->pools[colour])
        teald->hop_states.set(member.id,
                              {.problem = is_cut_[id][colour] ? HopProblem::kNoRoute : HopProblem::kNone,
                               .ifindex = 1,
                               .neighbour = {},
                               .since = clock.now()});
}

void RolloutWorld::change_signals() {
  const auto id = static_cast<uint16_t>(pick(kServices));
  Signals& signals = signals_[id];
  const auto rate = [&] { return pick(3) == 0 ? kBadRate : kGoodRate; };
  signals = {.rate = {rate(), rate()}, .few = pick(5) == 0, .resets = pick(2) == 0};
  if (const auto tested = model_[id].tested(); tested && pick(2) == 0) {
    signals.rate[static_cast<size_t>(*tested)] = kBadRate;
    signals.rate[static_cast<size_t>(other(*tested))] = kGoodRate;
  }
  trace_ += std::string(kNames[id]) + ": blue " + (is_failing(id, kBlue) ? "bad" : "good") + ", green " +
            (is_failing(id, kGreen) ? "bad" : "good") + (signals.few ? ", few flows" : "") +
            (signals.resets ? ", resets" : ", refusals") + "\n";
}

// --- flows ---

void RolloutWorld::follow_shares() {
  std::map<uint64_t, uint16_t> shares;
  for (uint16_t id = 0; id < kServices; ++id) {
    uint16_t& share = shares[watches_[id].rollout];
    share = std::max(share, model_[id].share());
  }
  for (const auto& [rollout, share] : shares)
    if (SeenFlows& seen = seen_flows_[rollout]; seen.share != share)
      seen = {.share = share, .may_begin = seen.may_begin};
}

void RolloutWorld::serve() {
  follow_shares();
  for (uint16_t id = 0; id < kServices; ++id) serve(id);
  for (auto& [rollout, seen] : seen_flows_) seen.may_begin = false;
  look_at_signals();
}

// A tick's flows of a service.
void RolloutWorld::serve(uint16_t id) {
  if (!is_alive_) return;
  const PlainService& model = model_[id];
  const uint64_t flows = signals_[id].few ? 8 : 800;
  const uint64_t idle = model.share() == 0 ? 0 : draw(flows, 1.0 * model.share() / kShareOne);
  add(id, other(model.active), idle);
  const Figures of_active = add(id, model.active, flows - idle);
  if (watches_[id].past) *watches_[id].past += of_active;
  SeenFlows& seen = seen_flows_[watches_[id].rollout];
  seen.most += idle;
  seen.least += seen.may_begin ? 0 : idle;
}
Figures RolloutWorld::add(uint16_t id, Colour colour, uint64_t begun) {
  const uint64_t failed = begun == 0 ? 0 : draw(begun, signals_[id].rate[static_cast<size_t>(colour)]);
  const auto field = signals_[id].resets ? &TrialCounts::reset : &TrialCounts::refused;
  TrialCells& cells = teald->counted[id][static_cast<size_t>(colour)];
  const uint64_t first = pick(cells.size());
  for (size_t i = 0; i < cells.size(); ++i) {
    TrialCounts& cell = cells[(first + i) % cells.size()];
    cell.begun += begun / cells.size() + (i < begun % cells.size() ? 1 : 0);
    cell.*field += failed / cells.size() + (i < failed % cells.size() ? 1 : 0);
  }
  return {begun, failed};
}

void RolloutWorld::look_at_signals() {
  is_old_sick_ = false;
  for (uint16_t id = 0; id < kServices; ++id) {
    const auto tested = model_[id].tested();
    if (!tested || !(model_[id].ramp || is_baking(id, clock.now(), 300ms))) continue;
    const bool is_sick = is_failing(id, other(*tested));
    is_old_sick_ = is_old_sick_ || is_sick;
    if (is_failing(id, *tested) && !(model_[id].ramp && is_sick)) watches_[id].was_worse = true;
  }
  for (RolloutWatch& watch : watches_) watch.is_muddied = watch.is_muddied || is_old_sick_;
  teald->old_colour.reset();
  if (has_checks_)
    teald->old_colour = is_old_sick_ ? FlipJudge::OldColour::kSick : FlipJudge::OldColour::kGood;
}

// --- the model ---

void RolloutWorld::move(uint16_t id, const PlainService& next, uint64_t rollout) {
  PlainService& model = model_[id];
  RolloutWatch& watch = watches_[id];
  const bool flips = next.active != model.active, begins_ramp = next.ramp && !model.ramp;
  const bool aborts = model.ramp && !next.ramp && !flips;
  if (!next.ramp || begins_ramp || next.share() != model.share()) watch.step_seen.reset();
  if (flips || aborts) {  // the others begin the trial again
    seen_flows_[watch.rollout].least = 0;
    seen_flows_[watch.rollout].may_begin = true;
  }
  if (flips || begins_ramp) {
    const Figures past = watch.past.value_or(Figures());
    const bool is_judged = begins_ramp || next.undo;
    watch.rollout = is_judged ? rollout : 0;
    watch.was_worse = watch.is_muddied = false;
    watch.has_baseline = past.begun >= 2000 && past.rate() <= 0.01 && clock.now() > past_counts_from_;
    watch.flipped_at = clock.now();
    totals_.rollouts += is_judged ? 1 : 0;
  }
  if (aborts) watch.rollout = 0;
  if (flips || aborts) watch.past.reset();
  model = next;
}

void RolloutWorld::see_steps(Clock::Time now) {
  for (uint16_t id = 0; id < kServices; ++id) {
    const bool goes_on = is_alive_ && !is_locked_ && model_[id].ramp && model_[id].ramp->goes_on();
    std::optional<Clock::Time>& seen = watches_[id].step_seen;
    seen = goes_on ? std::optional(seen.value_or(now)) : std::nullopt;
  }
}

void RolloutWorld::compare() {
  for (uint16_t id = 0; id < kServices && !HasFailure(); ++id) {
    const PlainService& model = model_[id];
    const PlainService seen = this->seen(id);
    EXPECT_EQ(seen, model) << kNames[id] << ": " << text_of(seen) << ", expected " << text_of(model) << "\n"
                           << trace_;
    for (const TrafficSplits* splits :
         {teald->publisher.splits(),
          is_alive_ && (*dataplane)->generation() != 0 ? &(*dataplane)->splits() : nullptr}) {
      if (splits == nullptr) continue;
      EXPECT_EQ(splits->services[id].active, model.active) << kNames[id] << "\n" << trace_;
      EXPECT_EQ(splits->services[id].other_share, model.share()) << kNames[id] << "\n" << trace_;
    }
  }
  EXPECT_EQ(teald->executor.catalogue().inventory().lock.has_value(), is_locked_) << trace_;
}

}  // namespace teal
