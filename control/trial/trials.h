// SPDX-License-Identifier: Apache-2.0
//
// The trials of all rollouts that are under way, and what they have found.
//
//   state of a service                       its trial
//   ramp to green                            RampJudge: green against blue, at the same time
//   flipped, the flip can be undone, and     FlipJudge: green against the last 5 minutes of blue
//   its bake is not over
//   any other                                none
//
// A rollback, an abort and a flip back are not judged: they are the ways back. Services that one publication
// flips to the same colour have the longest of their bakes. One with bake = "0s" is not judged, but goes back
// with the others. A bake that is over never begins again: what its
// trial compares with (TrialStart) is kept only as long.
//
// After a restart of teald, the trial of a ramp begins again. The trial of a full flip goes on with the data
// in RUN_DIR/trials.json. If services leave a trial, the others begin it again: the operator took the
// evidence away with them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/trial/past.h"
#include "control/trial/trial.h"
#include "control/trial/trial_file.h"

namespace teal {

// The checks of the old colour that Teal asks for when the new one looks bad after a full flip.
struct OldColourChecks {
  // Asks for a check of each backend now. Returns whether an answer can be expected.
  std::function<bool(uint16_t service, Colour)> ask;
  // Returns what the checks since `asked` say; nothing: some of them have not ended yet. If the time of the
  // checks is over, it returns what is known.
  std::function<std::optional<FlipJudge::OldColour>(uint16_t service, Colour, Clock::Time asked,
                                                    bool is_over)>
      answer;
};

// A colour that is bad, or two that are sick, and the figures that say so.
struct Finding {
  uint64_t rollout = 0;               // the generation that began it
  std::vector<std::string> services;  // that it moves, also those that are not judged (bake = "0s")
  std::string worst;                  // the service whose flows are the evidence
  bool is_of_ramp = false;
  Colour tested = Colour::kGreen;
  Verdict verdict;
  RolloutRules::OnBad on_bad = RolloutRules::OnBad::kRollback;  // the most careful one of its services
  int64_t at_ms = 0;                                            // since 1970, UTC
  std::string action;  // what follows: a verb, "nothing" or "refused"; empty: not decided yet
};

// Returns the most careful on_bad of these services.
RolloutRules::OnBad most_careful(const std::vector<std::string>& services, const Catalogue& catalogue);
// Returns "web: green is bad: 61 of 1,220 reset, at least 4.0 % (blue 0.1 %)".
std::string text_of(const Finding& finding);
// {"service","signal","services","tested","flows","failed","other_flows","other_failed","log10_value"}:
// Evidence in docs/openapi.yaml.
nlohmann::ordered_json evidence_json(const Finding& finding);

// A trial as it is now, of one of its services.
struct TrialView {
  uint64_t rollout = 0;
  bool is_of_ramp = false;
  Colour tested = Colour::kGreen;
  std::optional<double> bake_seconds_left;  // of a full flip
  uint64_t seen_in_step = 0;                // flows, of all services
  Verdict verdict;
  std::string worst;  // the service that the verdict's figures are of
  std::vector<SignalFigures> signals;
};

class Trials {
 public:
  // A step of a ramp needs this many flows of the tested colour.
  static constexpr uint64_t kFewestOutcomes = 100;
  // The checks of the old colour have so long.
  static constexpr std::chrono::milliseconds kLongestCheck{1500};
  static constexpr std::chrono::seconds kAgain{1};  // after an attempt to go back has failed

  Trials(TrialSource source, OldColourChecks checks, std::string run_dir, const Clock& clock);

  // Begins and ends trials as the state says, and reads the counters. Nothing is published without a segment.
  // `epoch` is another one when a dataplane has started: it may have other workers. To be called about ten
  // times a second.
  void look(const Catalogue& catalogue, bool is_published, uint32_t epoch);
  // To be called when flips are published, before the catalogue has these states.
  void flipped(const std::vector<ServiceState>& states, const Catalogue& before);

  // Returns what was found and not answered yet. A finding comes again until it is answered, or until the
  // state of its services ends the trial.
  std::vector<Finding> findings(const Catalogue& catalogue);
  // Notes what follows from the finding. Returns false if that was noted before.
  bool note(const Finding& finding, const std::string& action);
  // The finding was acted on as far as it will be.
  void answered(const Finding& finding);
  // It could not be acted on: it comes again after kAgain.
  void put_off(const Finding& finding);

  // Returns whether the trial of the ramp has seen kFewestOutcomes in this step.
  bool has_seen_enough(uint64_t ramp) const;
  // Returns whether the tested colour of the ramp is bad at the moment.
  bool is_bad(uint64_t ramp) const;
  // Returns whether it was found bad in the present trial, also if it has recovered.
  bool has_finding(uint64_t ramp) const;
  // Returns whether the service's latest flip is judged, also before the first look at it.
  bool is_baking(const ServiceState& service) const {
    return !service.ramp && service.undo && starts_.contains({service.flip_generation, service.name});
  }
  // Returns how many flows began on the active colour in the window that a full flip is compared with.
  uint64_t flows_of_past(const ServiceState& service) const {
    return sum_of(past_.of(service, source_, clock_.now()).cells).begun;
  }
  // Returns Past::Window::slow_us of the service now.
  uint32_t slow_us(const ServiceState& service) const {
    return past_.of(service, source_, clock_.now()).slow_us;
  }
  std::optional<TrialView> view_of(uint16_t service) const;
  // Returns the latest finding about the service's present or latest rollout; null: there is none.
  const Finding* latest(const std::string& service) const;

 private:
  // The generation of the rollout, whether it is a ramp, and the tested colour.
  using Key = std::tuple<uint64_t, bool, Colour>;
  struct Running {
    Trial trial;
    Verdict verdict = {};                      // without the old colour's health
    std::optional<Clock::Time> asked_at = {};  // for the old colour's health
    uint16_t asked_of = kNoId;                 // the service
    std::optional<RolloutRules::OnBad> answered_as = {};
    size_t paused = 0;                               // members whose ramp is paused
    Clock::Time again_at{};                          // before that, it finds nothing
    std::optional<Clock::Time> forgiven_until = {};  // nothing counts before
    Clock::Time bakes_until{};
    std::shared_ptr<Finding> finding = nullptr;  // the latest
  };
  struct Wanted {
    std::vector<TrialMember> members;
    uint16_t share = 0;  // of a ramp
    size_t paused = 0;   // of a ramp
    Clock::Time flip{};  // of a full flip
    std::chrono::milliseconds bake{0};
  };
  using WantedTrials = std::map<Key, Wanted>;

  static Key key_of(const Finding& finding) { return {finding.rollout, finding.is_of_ramp, finding.tested}; }
  WantedTrials wanted_trials(const Catalogue& catalogue) const;
  void end_bakes(WantedTrials& wanted);
  void end_trials(const WantedTrials& wanted);
  void begin(const Key& key, const Wanted& wanted);
  void forget_unknown(const Catalogue& catalogue);
  std::optional<Verdict> verdict_of(Running& running);
  void forgive(Running& running);
  void count_from_now(const Running& running, bool is_forgiven);
  void keep_starts() const;
  const Running* ramp_of(uint64_t id) const;

  const TrialSource source_;
  const OldColourChecks checks_;
  const std::string run_dir_;
  const Clock& clock_;
  Past past_;
  TrialStarts starts_;
  std::map<Key, Running> running_;
  std::unordered_map<uint16_t, const std::pair<const Key, Running>*> trial_of_;  // by service id
  std::map<std::string, std::shared_ptr<const Finding>> latest_;                 // by service
  std::optional<uint32_t> epoch_;
};

}  // namespace teal
