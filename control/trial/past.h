// SPDX-License-Identifier: Apache-2.0
//
// The outcomes of each service's active colour in its last 5 minutes are the baseline of the judgement after
// a full flip. A point is kept every 30 s, so the window is 5 to 5.5 minutes long. During a ramp of a service
// with affinity "client", failures are counted by client: its window ends with the begin of the ramp.
#pragma once

#include <chrono>
#include <deque>
#include <unordered_map>

#include "control/loop/clock.h"
#include "control/state/catalogue.h"
#include "control/trial/trial_counts.h"

namespace teal {

class Past {
 public:
  static constexpr std::chrono::seconds kEvery{30};
  static constexpr std::chrono::minutes kWindow{5};

  struct Window {
    TrialCells cells = {};        // of the active colour
    double flows_per_second = 0;  // of both colours
    uint32_t slow_us = 0;         // 99 % of the first answers came within this time; 0: too few are known
  };

  // Keeps a point of each service if one is due. To be called about ten times a second.
  void sample(const Catalogue& catalogue, const TrialSource& source, Clock::Time now);

  // The counters have jumped: no window reaches back beyond now.
  void begin_again() { services_.clear(); }
  // Returns the window of the service until now, and nothing that happened under another active colour.
  Window of(const ServiceState& service, const TrialSource& source, Clock::Time now) const;

 private:
  struct Point {
    Clock::Time at;
    TrialCells cells;
    uint64_t begun_other;
    AnswerTimes answer_times;
  };
  struct Points {
    uint64_t flip_generation = 0;
    Colour active = Colour::kBlue;
    std::deque<Point> points;
  };
  static Point point_of(const ServiceState& service, const TrialSource& source, Clock::Time now);

  std::unordered_map<uint16_t, Points> services_;  // by id
  Clock::Time next_{};
};

// Returns the bound of the bucket that 99 % of the times are below, in us. Returns 0 if there are fewer than
// 100 times. Returns 0 for a bound above 1 s, too: a flow that has waited 1 s is slow anyway.
uint32_t slow_bound_us(const AnswerTimes& times);

}  // namespace teal
