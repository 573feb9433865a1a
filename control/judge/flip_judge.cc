// SPDX-License-Identifier: Apache-2.0
#include "control/judge/flip_judge.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "control/judge/capital.h"
#include "control/judge/log_sum.h"

namespace teal {
namespace {

Figures total_of(const FlipJudge::ByCell& cells) {
  Figures total;
  for (const Figures& cell : cells) total += cell;
  return total;
}

// Returns whether a failure is known within kRestartNs of the flow's birth.
bool is_known_soon(Signal signal) {
  return signal != Signal::kReset;
}

double capital_at_start(Signal signal) {
  return is_known_soon(signal) ? 1 - kCapitalForTime : 1;
}

}  // namespace

FlipJudge::State FlipJudge::state_of(const Baseline& baseline, uint64_t flip_ns) {
  State state{};
  state.stream = baseline.stream;
  state.before = total_of(baseline.cells);
  const double bound = upper_bound_of(state.before);
  state.normal_rate = std::min(1.0, std::max(2 * bound, bound + kLeastDifference));
  double ratio = kFirstRatio;
  for (double& log_factor : state.log_birth_factors) {
    // (1 - p)/(1 - p0) with p = r p0 / (1 - p0 + r p0)
    log_factor = -std::log1p((ratio - 1) * state.normal_rate);
    ratio *= 2;
  }
  state.is_judged[kClientCells] = true;
  for (size_t cell = 0; cell < kClientCells; ++cell)
    state.is_judged[cell] = 2 * baseline.cells[cell].begun <= state.before.begun;
  if (is_forgeable(baseline.stream.signal)) state.flood_guard.emplace(baseline.flows_per_second, flip_ns);
  return state;
}

FlipJudge::FlipJudge(std::span<const Baseline> streams, Colour tested, uint64_t flip_ns, double alpha)
    : tested_(tested), log_threshold_(-std::log(alpha)), start_ns_(flip_ns), now_ns_(flip_ns) {
  assert(!streams.empty());
  for (const Baseline& baseline : streams) start(states_.emplace_back(state_of(baseline, flip_ns)));
}

void FlipJudge::start(State& state) const {
  for (LogCapital& log_capital : state.log_capital)
    log_capital.fill(std::log(capital_at_start(state.stream.signal)));
  state.cells = {};
  state.begun_before = {};
}

void FlipJudge::forget(uint64_t now_ns) {
  now_ns_ = std::max(now_ns_, now_ns);
  start_ns_ = now_ns_ + kForgetNs;
  restarts_ = 0;
  for (State& state : states_) start(state);
}

void FlipJudge::advance(uint64_t now_ns) {
  now_ns_ = std::max(now_ns_, now_ns);
  if (now_ns_ < start_ns_) return;
  const uint64_t due = (now_ns_ - start_ns_) / kRestartNs;
  if (due == restarts_) return;
  for (State& state : states_) {
    if (is_known_soon(state.stream.signal)) invest(state, kCapitalForTime * part_invested(restarts_, due));
  }
  restarts_ = due;
}

void FlipJudge::invest(State& state, double capital) const {
  std::array<uint64_t, kClientCells> lately;
  uint64_t in_all = 0;
  for (size_t cell = 0; cell < kClientCells; ++cell) {
    lately[cell] = state.cells[cell].begun - state.begun_before[cell];
    in_all += lately[cell];
    state.begun_before[cell] = state.cells[cell].begun;
  }
  for (size_t variant = 0; variant < kVariants; ++variant) {
    const auto begun = static_cast<double>(variant < kClientCells ? in_all - lately[variant] : in_all);
    for (size_t index = 0; index < kRatios; ++index) {
      double& log_capital = state.log_capital[variant][index];
      log_capital = log_of_sum(log_capital, std::log(capital) + begun * state.log_birth_factors[index]);
    }
  }
}

void FlipJudge::add(size_t stream, const ByCell& counted, uint64_t now_ns) {
  advance(now_ns);
  State& state = states_[stream];
  const Figures total = total_of(counted);
  const bool is_flood = state.flood_guard && state.flood_guard->is_flood(total.begun, now_ns_);
  if (is_flood || now_ns_ < start_ns_) return;
  for (size_t cell = 0; cell < kClientCells; ++cell) state.cells[cell] += counted[cell];
  for (size_t variant = 0; variant < kVariants; ++variant) {
    const Figures left_out = variant < kClientCells ? counted[variant] : Figures{};
    const auto begun = static_cast<double>(total.begun - left_out.begun);
    const auto failed = static_cast<double>(total.failed - left_out.failed);
    double log_ratio = std::log(kFirstRatio);
    for (size_t index = 0; index < kRatios; ++index) {
      state.log_capital[variant][index] += failed * log_ratio + begun * state.log_birth_factors[index];
      log_ratio += std::log(2.0);
    }
  }
}

double FlipJudge::log_value_of(const State& state) const {
  const double log_not_invested =
      is_known_soon(state.stream.signal) ? std::log(kCapitalForTime * part_left(restarts_)) : kLogOfZero;
  const uint64_t failures = total_of(state.cells).failed;
  double smallest = std::numeric_limits<double>::infinity();
  for (size_t variant = 0; variant < kVariants; ++variant) {
    if (!state.is_judged[variant]) continue;
    double log_value = log_of_sum(log_of_mean(state.log_capital[variant]), log_not_invested);
    const uint64_t failures_left = failures - (variant < kClientCells ? state.cells[variant].failed : 0);
    // With few failures the stream has no more than the capital that it began with.
    if (failures_left < kLeastFailures) log_value = std::min(log_value, 0.0);
    smallest = std::min(smallest, log_value);
  }
  return smallest;
}

Verdict FlipJudge::verdict(OldColour old_colour) const {
  Verdict verdict;
  verdict.tested = tested_;
  double log_sum = kLogOfZero, log_greatest = kLogOfZero;
  for (size_t index = 0; index < states_.size(); ++index) {
    if (states_[index].normal_rate >= 1) continue;
    const double log_value = log_value_of(states_[index]);
    log_sum = log_of_sum(log_sum, log_value);
    if (log_value > log_greatest) {
      log_greatest = log_value;
      verdict.worst = index;
    }
  }
  verdict.log_value = log_sum - std::log(static_cast<double>(states_.size()));
  const State& worst = states_[verdict.worst];
  verdict.stream = worst.stream;
  verdict.of_tested = total_of(worst.cells);
  verdict.of_other = worst.before;
  if (log_sum == kLogOfZero) {
    verdict.judgement = Judgement::kNoBaseline;
  } else if (verdict.log_value >= log_threshold_) {
    verdict.judgement = old_colour == OldColour::kSick ? Judgement::kBothSick : Judgement::kBad;
  }
  return verdict;
}

}  // namespace teal
