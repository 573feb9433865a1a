// SPDX-License-Identifier: Apache-2.0
//
// A teald for random sequences of rollouts (rollout_sequences_test.cc): its flows, the faults around it, and
// the model of its services (rollout_model.h). The rules of the config are drawn from the seed.
#pragma once

#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/control/change/ramp_fixture.h"
#include "tests/unit/control/change/rollout_model.h"

namespace teal {

// The test's knowledge about a service's rollout beside the model.
struct RolloutWatch {
  uint64_t rollout = 0;       // services that one publication began to move have the same; 0: none
  bool was_worse = false;     // the tested colour has been worse than the other one
  bool is_muddied = false;    // an old colour has been bad: it is not certain what Teal finds
  bool has_baseline = false;  // of a full flip: it is judged
  Clock::Time flipped_at{};
  std::optional<Clock::Time> step_seen;      // the time of the step counts from then
  std::optional<Clock::Time> certain_since;  // Teal must find that the tested colour is bad
  std::optional<Figures> past;               // of the active colour; nothing: it begins at the next look
};

struct RolloutTotals {
  uint64_t commands = 0, refused = 0, faults = 0, rollouts = 0;
  uint64_t steps = 0, ways_back = 0, pauses = 0, alarms = 0;  // by Teal
  std::string alarm_traces;
};

class RolloutWorld : public JudgingTest {
 protected:
  static constexpr size_t kServices = 2;
  static constexpr std::array<const char*, kServices> kNames = {"service-a", "service-b"};  // by id
  static constexpr std::chrono::milliseconds kTick{100};
  // The time of a step. It is never over at the very moment of a look.
  static constexpr std::chrono::milliseconds kEvery{1950};
  static constexpr double kGoodRate = 0.001, kBadRate = 0.5;  // of failures

  RolloutWorld(uint64_t seed, RolloutTotals& totals);

  uint64_t pick(uint64_t count) { return random_() % count; }

  // --- faults ---
  bool disk_records() const { return !is_disk_broken_ && teald->recorder.is_open(); }
  void set_disk(const std::string& word);
  void change_disk();
  void make_good();
  void restart();
  void change_dataplane();
  void change_lock();
  // The backends of a colour lose their routes, or get them back.
  void change_routes();
  bool is_cut(uint16_t id, Colour colour) const { return is_cut_[id][static_cast<size_t>(colour)]; }

  // --- flows ---
  void change_signals();
  bool is_failing(uint16_t id, Colour colour) const {
    return signals_[id].rate[static_cast<size_t>(colour)] == kBadRate;
  }
  bool has_few_flows(uint16_t id) const { return signals_[id].few; }
  bool has_resets(uint16_t id) const { return signals_[id].resets; }
  // All flows of a tick. The checks of the old colour then know what the signals say.
  void serve();
  // Returns whether the service is in the bake of a full flip at that time, give or take `tolerance`.
  bool is_baking(uint16_t id, Clock::Time at, std::chrono::milliseconds tolerance) const {
    return model_[id].undo && at < watches_[id].flipped_at + bake_ + tolerance;
  }

  // --- the model ---
  PlainService seen(uint16_t id) { return plain(service(kNames[id])); }
  // The service is now as `next`, by a publication that begins this rollout, if it begins one.
  void move(uint16_t id, const PlainService& next, uint64_t rollout);
  // teald looks at the steps: the time of a step counts from the first look.
  void see_steps(Clock::Time now);
  void compare();

  RolloutTotals& totals_;
  RolloutRules::OnBad on_bad_ = RolloutRules::OnBad::kRollback;
  RolloutRules::OnFew on_few_ = RolloutRules::OnFew::kGo;
  std::array<std::vector<uint16_t>, kServices> configured_;  // steps of a plain flip
  std::array<PlainService, kServices> model_;
  std::array<RolloutWatch, kServices> watches_;
  // The flows of the tested colour of a rollout since its share is another one.
  struct SeenFlows {
    uint16_t share = 0;
    uint64_t most = 0, least = 0;  // a trial that began again has not seen the flows before
    bool may_begin = true;         // a trial does not see the flows before its first look
  };
  std::map<uint64_t, SeenFlows> seen_flows_;  // by rollout
  uint64_t latest_rollout_ = 0;
  bool is_alive_ = true;  // the dataplane
  bool is_locked_ = false, is_disk_broken_ = false;
  bool is_settled_ = false;       // the segment has everything
  bool is_old_sick_ = false;      // an old colour is bad
  Clock::Time ways_back_from_{};  // before it, Teal may not try again to go back
  bool may_back_off_ = false;     // a step may have failed, so the next attempt is later
  std::string trace_;

 private:
  struct Signals {
    std::array<double, kColours> rate = {kGoodRate, kGoodRate};  // of failures
    bool few = false, resets = false;
  };

  void write_rules_at_random(uint64_t seed);
  bool has_segment() const;
  void tell_routes();
  uint64_t draw(uint64_t count, double chance) {
    return std::binomial_distribution<uint64_t>(count, chance)(random_);
  }
  void serve(uint16_t id);
  Figures add(uint16_t id, Colour colour, uint64_t begun);
  void follow_shares();
  void look_at_signals();

  std::mt19937_64 random_;
  std::chrono::seconds bake_{5};
  bool has_checks_ = false;
  std::array<Signals, kServices> signals_;
  std::array<std::array<bool, kColours>, kServices> is_cut_ = {};
  Clock::Time past_counts_from_{};  // a flip before it has no certain baseline
};

}  // namespace teal
