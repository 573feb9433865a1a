// SPDX-License-Identifier: Apache-2.0
//
// The judgement of one rollout: a ramp that is under way, or a full flip in its bake. All services that one
// publication began to move are judged as one. A trial reads the counters, and gives its judge what is new.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "control/judge/flip_judge.h"
#include "control/judge/ramp_judge.h"
#include "control/loop/clock.h"
#include "control/trial/trial_counts.h"

namespace teal {

// A service of a trial.
struct TrialMember {
  uint16_t service = kNoId;  // id
  std::string name;
  bool is_udp = false;

  friend bool operator==(const TrialMember&, const TrialMember&) = default;
};

// The start of a member's trial after a full flip. A file keeps it for the next teald.
struct TrialStart {
  TrialCells old_colour;        // what it did in its last 5 minutes
  double flows_per_second = 0;  // of both colours, then
  TrialCells at_flip;           // the counters of the new colour
  int64_t flipped_at_ms = 0;    // of Clock::steady_ms(): no new segment and no set clock moves the bake
  // An outage of both colours was forgiven a moment ago: nothing counts before the trial has begun to count
  // again.
  bool is_forgiven = false;

  friend bool operator==(const TrialStart&, const TrialStart&) = default;
};

std::vector<Signal> signals_of(const TrialMember& member);

// The figures of a service's signal, of both colours.
struct SignalFigures {
  Signal signal;
  std::array<Figures, kColours> by_colour;  // by Colour; of the old one after a flip: its last 5 minutes
};

class Trial {
 public:
  // Begins the trial of a ramp.
  Trial(std::vector<TrialMember> members, Colour tested, const TrialSource& source, Clock::Time now);
  // Begins the trial of a full flip. `starts` has an element for each member, in the same order.
  Trial(std::vector<TrialMember> members, Colour tested, std::vector<TrialStart> starts, Clock::Time flip);

  const std::vector<TrialMember>& members() const { return members_; }
  Colour tested() const { return tested_; }
  bool is_of_ramp() const { return std::holds_alternative<RampJudge>(judge_); }

  // Begins a step if a ramp has another share now. The share is in 1/kShareOne.
  void follow_share(uint16_t share, Clock::Time now);
  // Takes over what the counters show since the last call.
  void look(const TrialSource& source, Clock::Time now);

  // The old colour's health counts after a full flip only.
  Verdict verdict(FlipJudge::OldColour old_colour) const;
  // The counters have jumped: what they show now is where news begin.
  void begin_from(const TrialSource& source);
  // Drops the evidence of a full flip: a common outage says nothing about the new colour.
  void forget(Clock::Time now);
  // The flows of the tested colour that began in this step; of a full flip: since the flip.
  uint64_t seen_in_step() const { return seen_in_step_; }

  // The signals of a member: in this step, or since the flip.
  std::vector<SignalFigures> figures_of(uint16_t service) const;

 private:
  struct Row {
    std::array<TrialCells, kColours> counters;  // as they were read last
    std::array<TrialCounts, kColours> counted;  // since the step began, or since the flip
    size_t first_stream;
  };
  void add_to(RampJudge& judge, size_t member, const TrialSource& source, uint64_t now_ns);
  void add_to(FlipJudge& judge, size_t member, const TrialSource& source, uint64_t now_ns);
  std::optional<TrialCells> news_of(Row& row, uint16_t service, Colour colour, const TrialSource& source);

  std::vector<TrialMember> members_;
  Colour tested_;
  std::vector<Row> rows_;  // of the members
  std::variant<RampJudge, FlipJudge> judge_;
  uint32_t step_ = 0;
  uint16_t share_ = 0;
  uint64_t seen_in_step_ = 0;
};

}  // namespace teal
