// SPDX-License-Identifier: Apache-2.0
//
// Random sequences of commands, time, signals and faults, compared with the plainest version of a rollout
// (rollout_model.h). The commands move service-a, service-b, or both as a group. The signals are counters of
// flows: a colour of a service is good (0.1 % of its flows fail) or bad (50 %), with many flows or few. The
// faults are:
//   - The disk is full or fails, also in the middle of a change.
//   - The dataplane dies or ends. It may come back with another segment.
//   - A colour of a service has no route.
//   - teald restarts.
//
// After each command and each fault, the state of teald and the traffic splits of the segment are the
// model's. After each tick of 100 ms the test checks what teald has done by itself:
//   - A step begins only if its time is over, it has had its flows, and a dataplane runs. The disk must work,
//     and the ramp must not be paused, locked or judged bad. Then the step does begin.
//   - Teal goes back, or pauses, only as `on_bad` says, in all services of the rollout at once, and with the
//     evidence in the history. After a full flip it does so only in the bake, and not to a colour whose
//     checks fail. It never goes back to a colour without a route. A lock or a broken disk does not hold this
//     up.
//   - Teal leaves a colour that refuses half of its flows within 1 s, and one that resets them within 3 s
//     (docs/judgement.md), if the old colour is well, and was well before.
//   - Teal does nothing else.
//
// Teal may judge equal colours bad by chance: at most once in 1 / kAlpha rollouts. The test counts these
// alarms. It allows the mean of that bound, 4 standard deviations and one more. judge/rollouts_test.cc tests
// the bound itself.
//
// Disks that hang are not among the faults, because each one takes real time; sequences_test.cc has them. It
// also kills teald within a change.
//
// TEAL_SEQUENCES is how many (kSequences by default; scripts/test --long runs 10,000), TEAL_SEED the first
// seed.
#include <cmath>
#include <iostream>
#include <set>

#include <spdlog/spdlog.h>

#include "tests/unit/control/change/rollout_world.h"
#include "tests/unit/control/change/seeds.h"
#include "tests/unit/control/faulty_disk.h"

namespace teal {
namespace {

using namespace std::chrono_literals;
using OnBad = RolloutRules::OnBad;
using OnFew = RolloutRules::OnFew;
using OldColour = FlipJudge::OldColour;

constexpr uint64_t kSequences = 6;

class RolloutSequence : public RolloutWorld {
 public:
  RolloutSequence(uint64_t seed, RolloutTotals& totals) : RolloutWorld(seed, totals) {}

  void run() {
    spend_time();
    for (uint64_t steps = 20 + pick(30); steps > 0 && !HasFailure(); --steps) {
      for (RolloutWatch& watch : watches_) watch.certain_since.reset();
      for (auto& [rollout, seen] : seen_flows_) seen.least = 0, seen.may_begin = true;
      act();
      compare();
    }
    if (!HasFailure()) end();
  }

 private:
  void TestBody() override {}
  uint64_t ticks_ = 0;

  // A fault ends soon, so that most commands are carried out.
  void act() {
    const bool is_over = pick(3) == 0;
    if (is_over && is_locked_) return change_lock();
    if (is_over && is_disk_broken_) return change_disk();
    if (is_over && !is_alive_) return change_dataplane();
    switch (pick(21)) {
      case 0:
        return change_disk();
      case 1:
        return change_dataplane();
      case 2:
        return restart();
      case 3:
        return change_lock();
      case 20:
        return change_routes();
      case 4:
      case 5:
      case 6:
        return change_signals();
      case 7:
      case 8:
      case 9:
      case 10:
      case 11:
        return spend_time();
      default:
        return command();
    }
  }

  // --- commands ---

  void command() {
    static const std::vector<uint16_t> kPlans[] = {
        {500, 2500, kShareOne}, {1000, kShareOne}, {2500, 5000, kShareOne}};
    static constexpr PlainVerb kVerbs[] = {
        PlainVerb::kFlip, PlainVerb::kFlipNow, PlainVerb::kRamp,     PlainVerb::kRamp,  PlainVerb::kRamp,
        PlainVerb::kNext, PlainVerb::kAbort,   PlainVerb::kRollback, PlainVerb::kPause, PlainVerb::kResume};
    const std::vector<uint16_t> ids = std::vector<std::vector<uint16_t>>{{0}, {1}, {0, 1}}[pick(3)];
    PlainRequest request{.verb = kVerbs[pick(std::size(kVerbs))], .to = {}, .ramp = {kPlans[pick(3)]}};
    const Colour active = model_[ids.front()].active;
    request.to = pick(4) == 0 ? active : other(active);
    request.ramp.manual = pick(6) == 0;
    for (const uint16_t id : ids)
      if (model_[id].active != request.to && !model_[id].undo) request.takes_back = false;
    const bool force = pick(6) == 0;
    const std::string break_at = pick(8) != 0 ? "" : pick(2) == 0 ? "intended" : "published";

    std::array<PlainService, kServices> next = model_;
    bool is_refused = is_locked_, is_gate_closed = false;
    // Only service-a has steps in the config. A service that moves with service-a takes them, too.
    const bool a_moves = ids.front() == 0 && model_[0].active != request.to && !model_[0].ramp;
    for (const uint16_t id : ids) {
      const auto changed = after(request, configured_[a_moves && !model_[id].ramp ? 0 : id], model_[id]);
      is_refused = is_refused || !changed;
      next[id] = changed.value_or(model_[id]);
      if (next[id] == model_[id]) continue;
      const bool cannot_serve = is_alive_ && is_cut(id, gets_flows(model_[id], next[id]));
      is_gate_closed = is_gate_closed || cannot_serve || (goes_on(model_[id], next[id]) && is_bad(id));
    }
    const bool changes = next != model_;
    const bool is_way_back = request.verb == PlainVerb::kAbort || request.verb == PlainVerb::kRollback;
    const bool has_gates =
        !is_way_back && request.verb != PlainVerb::kPause && request.verb != PlainVerb::kResume && !force;
    is_refused = is_refused || (changes && !is_way_back && !disk_records()) || (is_gate_closed && has_gates);

    if (disk_records() && is_settled_ && !break_at.empty()) {
      on_event = [this, break_at](const std::string& type) {
        if (type == break_at) set_disk("fails");
      };
    }
    const Result result = carry_out(request, ids, force);
    on_event = [](const std::string&) {};
    trace_ += std::string(kPlainVerbNames[static_cast<size_t>(request.verb)]) + " to " + name_of(request.to) +
              (request.ramp.manual ? " (manual)" : "") + (force ? " (force)" : "") + " of " +
              (ids.size() == 2 ? "shop" : kNames[ids[0]]) + " -> " +
              (result ? "done" : result.error().message) + (is_disk_broken_ ? ", disk broken" : "") + "\n";
    ++totals_.commands;
    totals_.refused += result ? 0 : 1;
    ASSERT_EQ(result.has_value(), !is_refused) << trace_;
    if (!result) return;
    EXPECT_EQ(result->fields["changed"].empty(), !changes) << result->fields.dump() << "\n" << trace_;
    const uint64_t rollout = ++latest_rollout_;
    for (const uint16_t id : ids) move(id, next[id], rollout);
  }

  Result carry_out(const PlainRequest& request, const std::vector<uint16_t>& ids, bool force) {
    Selection what = ids.size() == 2 ? Selection{{}, "shop"} : Selection{{kNames[ids[0]]}, {}};
    RolloutRequest roll{.what = std::move(what), .to = request.to, .force = force};
    switch (request.verb) {
      case PlainVerb::kPause:
        return teald->run(teald->verbs.pause(roll.what, {.reason = "a look"}));
      case PlainVerb::kResume:
        return teald->run(teald->verbs.resume(roll.what, {}));
      case PlainVerb::kFlip:
      case PlainVerb::kFlipNow:
        roll.now = request.verb == PlainVerb::kFlipNow;
        break;
      case PlainVerb::kRamp:
        roll.verb = Verb::kRamp;
        roll.ramp = {.steps = request.ramp.steps, .every = kEvery, .manual = request.ramp.manual};
        break;
      case PlainVerb::kNext:
        roll.verb = Verb::kNext;
        break;
      case PlainVerb::kAbort:
        roll.verb = Verb::kAbort;
        break;
      case PlainVerb::kRollback:
        roll.verb = Verb::kRollback;
        break;
    }
    return teald->run(teald->verbs.roll(std::move(roll), {}));
  }

  // Returns whether a ramp gets a greater share, or everything.
  static bool goes_on(const PlainService& before, const PlainService& next) {
    return before.ramp && (next.active != before.active || next.share() > before.share());
  }
  // Returns the colour that a change gives flows to.
  static Colour gets_flows(const PlainService& before, const PlainService& next) {
    return next.active == before.active && next.ramp ? other(next.active) : next.active;
  }
  bool is_bad(uint16_t id) {
    const std::optional<Ramp>& ramp = service(kNames[id]).ramp;
    return ramp && teald->trials.is_bad(ramp->id);
  }
  // A ramp that was found bad waits for an operator if Teal's own way back is refused.
  bool is_found_bad(uint16_t id) {
    const std::optional<Ramp>& ramp = service(kNames[id]).ramp;
    return is_bad(id) || (ramp && teald->trials.has_finding(ramp->id));
  }

  // --- time, and what teald does by itself ---

  void spend_time() {
    static constexpr int kTicks[] = {2, 11, 24, 45};
    const int ticks = kTicks[pick(4)];
    trace_ += std::to_string(ticks) + " ticks\n";
    for (int i = 0; i < ticks && !HasFailure(); ++i) tick();
  }

  void tick() {
    clock.advance(kTick);
    if (is_alive_) dataplane->step();
    if (!disk_records()) may_back_off_ = true;
    serve();
    const Clock::Time judged_at = clock.now();  // the way back itself may take long
    judge();
    for (RolloutWatch& watch : watches_)
      if (!watch.past) watch.past.emplace();
    look_for_ways_back(judged_at);
    look_for_what_must_go_back();
    std::array<bool, kServices> is_bad_now;
    for (uint16_t id = 0; id < kServices; ++id) is_bad_now[id] = is_found_bad(id);
    const Clock::Time now = clock.now();
    see_steps(now);
    EXPECT_TRUE(follow());
    look_for_steps(now, is_bad_now);
    is_settled_ = true;
    if (++ticks_ % 10 == 0) tidy();
    compare();
  }

  void look_for_ways_back(Clock::Time judged_at) {
    const auto before = model_;
    const auto watches = watches_;
    std::set<uint64_t> alarmed;  // rollouts
    for (uint16_t id = 0; id < kServices && !HasFailure(); ++id) {
      const PlainService seen = this->seen(id);
      if (seen == before[id]) continue;
      trace_ += std::string("Teal: ") + kNames[id] + " is " + text_of(seen) + "\n";
      PlainRequest request{.verb = on_bad_ == OnBad::kPause ? PlainVerb::kPause : PlainVerb::kRollback};
      const PlainService expected = *after(request, {}, before[id]);
      ASSERT_TRUE(is_alive_ && on_bad_ != OnBad::kTell && seen == expected) << trace_;
      if (!before[id].ramp) {
        ASSERT_TRUE(on_bad_ == OnBad::kRollback && is_baking(id, judged_at, 300ms)) << trace_;
        ASSERT_TRUE(teald->old_colour != OldColour::kSick) << "the old colour is as sick\n" << trace_;
      }
      bool is_worse = false;
      for (uint16_t member = 0; member < kServices; ++member) {
        const bool is_one = watches[member].rollout == watches[id].rollout &&
                            before[member].tested() == before[id].tested() &&
                            before[member].ramp.has_value() == before[id].ramp.has_value();
        if (!is_one) continue;
        is_worse = is_worse || watches[member].was_worse;
        ASSERT_TRUE(on_bad_ == OnBad::kPause || !is_cut(member, other(*before[member].tested())))
            << kNames[member] << " cannot serve\n"
            << trace_;
        EXPECT_EQ(this->seen(member), *after(request, {}, before[member]))
            << kNames[member] << " is of the same rollout\n"
            << trace_;
      }
      if (!is_worse) alarmed.insert(watches[id].rollout);
      ++(on_bad_ == OnBad::kPause ? totals_.pauses : totals_.ways_back);
      look_for_evidence(id);
      move(id, expected, 0);
    }
    totals_.alarms += alarmed.size();
    if (!alarmed.empty()) totals_.alarm_traces += "a false alarm:\n" + trace_;
  }

  void look_for_evidence(uint16_t id) {
    if (!disk_records() || !teald->journal.unrecorded().empty()) return;
    const auto rows = teald->state().history({.service = kNames[id], .limit = 1, .before = {}});
    ASSERT_TRUE(rows && !rows->empty()) << trace_;
    EXPECT_EQ(rows->front().verb, on_bad_ == OnBad::kPause ? "pause" : "rollback") << trace_;
    EXPECT_TRUE(rows->front().actor.is_teald()) << trace_;
    EXPECT_NE(rows->front().reason.find(" is bad: "), std::string::npos) << rows->front().reason << trace_;
    EXPECT_NE(rows->front().changes.find("\"evidence\":{"), std::string::npos) << trace_;
  }

  bool must_go_back(uint16_t id) {
    const PlainService& model = model_[id];
    const RolloutWatch& watch = watches_[id];
    const auto tested = model.tested();
    if (!tested || !is_alive_ || on_bad_ == OnBad::kTell || is_old_sick_ || watch.is_muddied) return false;
    if (has_few_flows(id) || !is_failing(id, *tested)) return false;
    for (uint16_t member = 0; member < kServices; ++member)  // it may be of the same rollout
      if (is_cut(member, kBlue) || is_cut(member, kGreen)) return false;
    if (model.ramp) return on_bad_ == OnBad::kRollback || !model.ramp->paused;
    return on_bad_ == OnBad::kRollback && watch.has_baseline && is_baking(id, clock.now(), -300ms);
  }
  void look_for_what_must_go_back() {
    const Clock::Time now = clock.now();
    for (uint16_t id = 0; id < kServices; ++id) {
      std::optional<Clock::Time>& since = watches_[id].certain_since;
      if (!must_go_back(id))
        since.reset();
      else if (!since)
        since = std::max(now, ways_back_from_);
      else
        EXPECT_LT(now - *since, has_resets(id) ? 3s : 1s) << kNames[id] << " is bad\n" << trace_;
    }
  }

  void look_for_steps(Clock::Time now, const std::array<bool, kServices>& is_bad_now) {
    const auto before = model_;
    const auto watches = watches_;
    std::map<uint64_t, uint64_t> rollouts;  // those after a full flip, by those of the ramps
    for (uint16_t id = 0; id < kServices && !HasFailure(); ++id) {
      const PlainService seen = this->seen(id);
      const std::optional<Clock::Time> step_seen = watches[id].step_seen;
      const auto spent = step_seen ? now - *step_seen : Clock::Time::duration(0);
      const SeenFlows& flows = seen_flows_[watches[id].rollout];
      const bool may_be_enough = on_few_ == OnFew::kGo || flows.most >= Trials::kFewestOutcomes;
      const bool is_enough = on_few_ == OnFew::kGo || flows.least >= Trials::kFewestOutcomes;
      const bool is_held = is_bad_now[id] && on_bad_ != OnBad::kTell;
      if (seen == before[id]) {
        if (spent < kEvery + 150ms || is_held || may_back_off_ || !disk_records()) continue;
        EXPECT_FALSE(is_enough) << kNames[id] << ": the next step is late\n" << trace_;
        EXPECT_TRUE(may_be_enough || on_few_ != OnFew::kPause) << kNames[id] << " is not paused\n" << trace_;
        continue;
      }
      trace_ += std::string("Teal: ") + kNames[id] + " is " + text_of(seen) + "\n";
      ASSERT_TRUE(step_seen && spent >= kEvery - 20ms) << "too early\n" << trace_;
      ASSERT_FALSE(is_held) << "it is judged bad\n" << trace_;
      bool cannot_serve = false;
      for (uint16_t member = 0; member < kServices; ++member)
        cannot_serve = cannot_serve || (watches[member].rollout == watches[id].rollout &&
                                        is_cut(member, other(before[member].active)));
      PlainService expected = before[id];
      if (seen.ramp && seen.ramp->paused) {
        ASSERT_TRUE((on_few_ == OnFew::kPause && !is_enough) || cannot_serve) << trace_;
        expected.ramp->paused = true;
        ++totals_.pauses;
      } else {
        ASSERT_TRUE(disk_records() && may_be_enough) << trace_;
        ASSERT_FALSE(is_cut(id, other(before[id].active))) << "it cannot serve\n" << trace_;
        expected.step_on();
        ++totals_.steps;
      }
      ASSERT_EQ(seen, expected) << trace_;
      uint64_t& rollout = rollouts[watches[id].rollout];
      if (rollout == 0) rollout = ++latest_rollout_;
      move(id, expected, rollout);
    }
  }

  // The disk has everything in the end.
  void end() {
    set_disk("works");
    make_good();
    const auto stored = teald->state().load();
    ASSERT_TRUE(stored) << stored.error();
    for (uint16_t id = 0; id < kServices; ++id)
      EXPECT_EQ(plain(*stored->service(kNames[id])), model_[id]) << kNames[id] << "\n" << trace_;
    restart();
    compare();
  }
};

TEST(RolloutSequences, FollowTheModelAndKeepThePromises) {
  static const FaultyDisk disk;
  spdlog::set_level(spdlog::level::off);
  RolloutTotals totals;
  const uint64_t first = number_from("TEAL_SEED", 1), count = number_from("TEAL_SEQUENCES", kSequences);
  for (uint64_t seed = first; seed < first + count && !HasFailure(); ++seed) {
    SCOPED_TRACE("TEAL_SEED=" + std::to_string(seed) + " TEAL_SEQUENCES=1");
    RolloutSequence(seed, totals).run();
  }
  const double expected = kAlpha * static_cast<double>(totals.rollouts);
  EXPECT_LE(static_cast<double>(totals.alarms), expected + 4 * std::sqrt(expected) + 1)
      << totals.alarm_traces;
  std::cout << totals.commands << " commands, " << totals.refused << " refused, " << totals.faults
            << " faults, " << totals.rollouts << " rollouts; by Teal: " << totals.steps << " steps, "
            << totals.ways_back << " ways back, " << totals.pauses << " pauses, " << totals.alarms
            << " false alarms\n";
}

}  // namespace
}  // namespace teal
