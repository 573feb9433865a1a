// SPDX-License-Identifier: Apache-2.0
#include "control/judge/ramp_judge.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>

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
      joint_of_(streams.size(), kNone),
      tested_(tested),
      log_threshold_(-std::log(alpha)),
      start_ns_(now_ns),
      now_ns_(now_ns),
      window_began_ns_(now_ns) {
  assert(!streams_.empty());
  std::map<Signal, std::vector<size_t>> streams_by_signal;
  for (size_t stream = 0; stream < streams_.size(); ++stream)
    streams_by_signal[streams_[stream].signal].push_back(stream);
  for (const auto& [signal, members] : streams_by_signal) {
    if (members.size() < 2) continue;
    for (const size_t stream : members) joint_of_[stream] = states_.size();
    states_.emplace_back();
  }
  const size_t joints = states_.size() - streams_.size();
  const auto log_part = [&](size_t states) {
    return -std::log((joints == 0 ? 1.0 : 2.0) * static_cast<double>(states));
  };
  log_weights_.assign(streams_.size(), log_part(streams_.size()));
  log_weights_.resize(states_.size(), log_part(joints));
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
  const bool is_known = step < shares_.size();
  const double share = is_known ? shares_[step] : highest_share_;
  const auto green = static_cast<double>(counted[static_cast<size_t>(tested_)].failed);
  const auto blue = static_cast<double>(counted[static_cast<size_t>(other(tested_))].failed);
  for (const size_t index : {stream, joint_of_[stream]}) {
    if (index == kNone) continue;
    if (step + 1 == shares_.size() || !is_known) count(states_[index], counted);
    if (share > 0 && share < 1 && (green != 0 || blue != 0)) bet(states_[index], share, green, blue);
  }
}

void RampJudge::count(State& state, const ByColour& counted) {
  for (size_t colour = 0; colour < kColours; ++colour) {
    state.step[colour] += counted[colour];
    state.window[colour] += counted[colour];
  }
}

// `green` and `blue` are numbers of failures.
void RampJudge::bet(State& state, double share, double green, double blue) {
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

// The stream that a state is named after: of a joint stream, the one of its streams with the greatest value.
size_t RampJudge::stream_of(size_t state) const {
  if (state < streams_.size()) return state;
  size_t worst = kNone;
  for (size_t stream = 0; stream < streams_.size(); ++stream) {
    if (joint_of_[stream] != state) continue;
    if (worst == kNone || log_value_of(states_[stream]) > log_value_of(states_[worst])) worst = stream;
  }
  return worst;
}

Verdict RampJudge::verdict() const {
  struct Sum {
    double log_value = kLogOfZero, log_greatest = kLogOfZero;
    size_t greatest = 0;  // the state with the greatest part of the sum
    void add(size_t state, double log_part) {
      log_value = log_of_sum(log_value, log_part);
      if (log_part <= log_greatest) return;
      log_greatest = log_part;
      greatest = state;
    }
  };
  Sum all, that_counts;
  for (size_t index = 0; index < states_.size(); ++index) {
    const double log_part = log_value_of(states_[index]) + log_weights_[index];
    all.add(index, log_part);
    if (differs(states_[index])) that_counts.add(index, log_part);
  }
  const bool is_bad = that_counts.log_value >= log_threshold_;
  const size_t greatest = is_bad ? that_counts.greatest : all.greatest;
  Verdict verdict;
  verdict.judgement = is_bad ? Judgement::kBad : Judgement::kNotWorse;
  verdict.tested = tested_;
  verdict.log_value = all.log_value;
  verdict.worst = stream_of(greatest);
  verdict.stream = streams_[verdict.worst];
  // Before the answer, each service shows its own figures.
  const size_t shown = is_bad ? greatest : verdict.worst;
  if (shown >= streams_.size())
    verdict.services = static_cast<size_t>(std::count(joint_of_.begin(), joint_of_.end(), shown));
  verdict.of_tested = states_[shown].step[static_cast<size_t>(tested_)];
  verdict.of_other = states_[shown].step[static_cast<size_t>(other(tested_))];
  return verdict;
}

}  // namespace teal
