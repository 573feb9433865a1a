// SPDX-License-Identifier: Apache-2.0
#include "control/judge/ramp_judge.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "control/judge/capital.h"
#include "control/judge/log_sum.h"

namespace teal {
namespace {

struct LogFactors {
  double green;  // of a failure of the tested colour
  double blue;
};

// q/q0 and (1 - q)/(1 - q0), with q0 = 2s / (1 + s) and q = rs / (1 - s + rs).
LogFactors log_factors(double ratio, double share) {
  const double denominator = 1 - share + ratio * share;
  return {std::log(ratio * (1 + share) / (2 * denominator)), std::log((1 + share) / denominator)};
}

}  // namespace

RampJudge::RampJudge(std::span<const Stream> streams, Colour tested, uint64_t now_ns, double alpha)
    : streams_(streams.begin(), streams.end()),
      states_(streams.size()),
      tested_(tested),
      log_threshold_(-std::log(alpha)),
      start_ns_(now_ns),
      now_ns_(now_ns),
      window_began_ns_(now_ns) {
  assert(!streams_.empty());
  for (State& state : states_) state.log_capital.fill(kLogOfZero);
}

void RampJudge::invest(double capital) {
  for (State& state : states_) {
    for (double& log_capital : state.log_capital) log_capital = log_of_sum(log_capital, std::log(capital));
  }
}

double RampJudge::not_invested() const {
  return kCapitalForSteps * part_left(shares_.size()) + kCapitalForTime * part_left(restarts_);
}

void RampJudge::advance(uint64_t now_ns) {
  now_ns_ = std::max(now_ns_, now_ns);
  if (const uint64_t due = (now_ns_ - start_ns_) / kRestartNs; due > restarts_) {
    invest(kCapitalForTime * part_invested(restarts_, due));
    restarts_ = due;
  }
  if (const uint64_t windows = (now_ns_ - window_began_ns_) / kWindowNs; windows > 0) {
    for (State& state : states_) {
      state.window_before = windows == 1 ? state.window : ByColour{};
      state.window = {};
    }
    window_began_ns_ += windows * kWindowNs;
  }
}

uint32_t RampJudge::begin_step(double share, uint64_t now_ns) {
  advance(now_ns);
  for (State& state : states_) state.step = state.window = state.window_before = {};
  window_began_ns_ = now_ns_;
  invest(kCapitalForSteps * part_invested(shares_.size(), shares_.size() + 1));
  shares_.push_back(share);
  highest_share_ = std::max(highest_share_, share);
  return static_cast<uint32_t>(shares_.size() - 1);
}

void RampJudge::add(size_t stream, uint32_t step, const ByColour& counted, uint64_t now_ns) {
  advance(now_ns);
  if (shares_.empty()) return;
  State& state = states_[stream];
  const bool is_known = step < shares_.size();
  const double share = is_known ? shares_[step] : highest_share_;
  if (step + 1 == shares_.size() || !is_known) {
    for (size_t colour = 0; colour < kColours; ++colour) {
      state.step[colour] += counted[colour];
      state.window[colour] += counted[colour];
    }
  }
  const auto green = static_cast<double>(counted[static_cast<size_t>(tested_)].failed);
  const auto blue = static_cast<double>(counted[static_cast<size_t>(other(tested_))].failed);
  if (share <= 0 || share >= 1 || (green == 0 && blue == 0)) return;
  double ratio = kFirstRatio;
  for (double& log_capital : state.log_capital) {
    const LogFactors factors = log_factors(ratio, share);
    log_capital += green * factors.green + blue * factors.blue;
    ratio *= 2;
  }
}

double RampJudge::log_value_of(const State& state) const {
  return log_of_sum(log_of_mean(state.log_capital), std::log(not_invested()));
}

bool RampJudge::differs(const State& state) const {
  ByColour recent = state.window;
  for (size_t colour = 0; colour < kColours; ++colour) recent[colour] += state.window_before[colour];
  const Figures &green = recent[static_cast<size_t>(tested_)],
                &blue = recent[static_cast<size_t>(other(tested_))];
  return green.begun > 0 && green.rate() - blue.rate() >= kLeastDifference;
}

Verdict RampJudge::verdict() const {
  Verdict verdict;
  verdict.tested = tested_;
  double log_sum = kLogOfZero, log_sum_that_counts = kLogOfZero;
  double log_greatest = kLogOfZero, log_greatest_that_counts = kLogOfZero;
  size_t worst_that_counts = 0;
  for (size_t index = 0; index < states_.size(); ++index) {
    const double log_value = log_value_of(states_[index]);
    log_sum = log_of_sum(log_sum, log_value);
    if (log_value > log_greatest) {
      log_greatest = log_value;
      verdict.worst = index;
    }
    if (!differs(states_[index])) continue;
    log_sum_that_counts = log_of_sum(log_sum_that_counts, log_value);
    if (log_value > log_greatest_that_counts) {
      log_greatest_that_counts = log_value;
      worst_that_counts = index;
    }
  }
  const double log_weight = -std::log(static_cast<double>(states_.size()));
  verdict.log_value = log_sum + log_weight;
  if (log_sum_that_counts + log_weight >= log_threshold_) {
    verdict.judgement = Judgement::kBad;
    verdict.worst = worst_that_counts;
  }
  verdict.stream = streams_[verdict.worst];
  const ByColour& step = states_[verdict.worst].step;
  verdict.of_tested = step[static_cast<size_t>(tested_)];
  verdict.of_other = step[static_cast<size_t>(other(tested_))];
  return verdict;
}

}  // namespace teal
