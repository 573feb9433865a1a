// SPDX-License-Identifier: Apache-2.0
//
// The judgement of a ramp. Both colours take new flows at the same time, and the tested colour is compared
// with the other one. The verdict may be read at any time and as often as one likes. The chance that the
// test ever calls a colour bad that is not worse is at most alpha.
//
// Theory of operation. `s` is the share of the tested colour, here green.
//
//   1. A hash gives each new flow its colour: green with the chance s, whatever becomes of the flow.
//   2. The hypothesis is that green fails at most twice as often as blue. Then the next failure is green
//      with a chance of at most q0 = 2s / (1 + s).
//   3. A gambler bets against the hypothesis at each failure. If green fails r times as often as blue, the
//      chance of a green failure is q = rs / (1 - s + rs). A green failure multiplies the capital by q/q0,
//      and a blue one multiplies it by (1 - q)/(1 - q0). Under the hypothesis the capital does not grow on
//      average. If the chance is below q0, the gambler loses, because the first factor is above 1 and the
//      second one below 1. A capital that does not grow on average reaches 1/alpha with a chance of at most
//      alpha, at any time (Ville 1939).
//   4. r is unknown. So the capital is divided evenly among r = 4, 8, 16, ... 512, and among the streams.
//      Green is bad when the sum reaches 1/alpha. Services that move together often fail together, each of
//      them seldom. So a signal of several services has a joint stream, too, with the failures of all of
//      them, and the joint streams get half of the capital. Rule 3 holds for each failure, so it holds for
//      a joint stream.
//   5. Green may become bad late. So the capital is not bet at once: 80 % is invested step by step, and 20
//      % every 10 s, in parts that add up to 1 (capital.h). Rule 3 still holds for the sum.
//   6. A stream counts only while the two rates differ by at least 0.5 points, over the last 30 to
//      60 s of this step. This rule can only prevent a rollback.
//
// The rates may change at any time, by load, drift or a common outage. Such a change moves both colours,
// and the test uses the colour of each failure only. Lindon and Malek ("Anytime-Valid Inference for
// Multinomial Count Data", NeurIPS 2022) have this argument and the mixture of rule 4.
//
// Worked example: s is 0.25, so q0 is 0.4. For r = 64, q is 0.955. A green failure multiplies this part of
// the capital by 2.39, and a blue failure multiplies it by 0.075. After 12 failures, all green, the part
// has grown 34,000 times.
//
// Late outcomes: each failure is judged by the share of the step in which its flow was born. Rule 3 holds
// for each failure alone, so the capital is carried on over steps by multiplication, and failures of
// several steps may come in any order. The alternative is a separate value for each step, and the maximum
// of these values. It would need a smaller alpha for each step, and would forget the evidence of earlier
// steps.
//
// If the step of a failure is unknown (kUnknownStep), the highest share so far is taken. Both factors fall
// as s rises. So a share that is too high can hide a bad colour, and never raises an alarm.
//
// The caller must keep these assumptions:
//
//   a. The hash alone decides on the colour. Do not count flows of previews, flows without a SYN, and flows
//      that were chosen again.
//   b. Only flows that were born during the ramp are counted, in both colours. Older flows of blue fail at
//      other rates.
//   c. A flow fails once. Otherwise the colour of a second failure is known before it happens.
//   d. If the share follows the client, a client counts once in a rollout, because all of its flows have
//      the same colour.
//   e. "At most twice as often" holds at each age of a flow. A green that fails as often as blue but sooner
//      looks worse, until blue's failures are known, too. Equal colours have equal delays, so delays raise
//      no alarm for them.
//
// Without (a), (c) or (d) there may be false alarms. Without (b) or (e) the test has another hypothesis.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "control/judge/verdict.h"

namespace teal {

class RampJudge {
 public:
  static constexpr size_t kRatios = 8;  // 4, 8, ... 512
  static constexpr double kFirstRatio = 4;
  static constexpr double kLeastDifference = 0.005;
  static constexpr uint64_t kWindowNs = 30'000'000'000;
  static constexpr uint32_t kUnknownStep = UINT32_MAX;

  // Figures by Colour.
  using ByColour = std::array<Figures, kColours>;

  // `streams` has each signal that can occur, of each service of the rollout; at least one. `alpha` is the
  // greatest chance of a false alarm, above 0 and below 1. Times are in ns of a clock that does not go back;
  // a time before the latest one counts as the latest one.
  RampJudge(std::span<const Stream> streams, Colour tested, uint64_t now_ns, double alpha = kRampAlpha);

  // Begins a step. `share` is the part of new flows that the tested colour gets, 0 to 1. At 0 and at 1 there
  // is nothing to compare, and the failures of such a step's flows are ignored. Returns the step's number,
  // from 0.
  uint32_t begin_step(double share, uint64_t now_ns);

  // Adds what has become known since the last call about flows of `step`. A flow is added to `begun` at its
  // birth, and to `failed` when the failure is known. Nothing is added before the first step. `stream` is an
  // index of the constructor's list.
  void add(size_t stream, uint32_t step, const ByColour& counted, uint64_t now_ns);

  Verdict verdict() const;

 private:
  struct State {                              // of a stream
    std::array<double, kRatios> log_capital;  // of each ratio; both purses are 1
    ByColour step;                            // flows of this step
    ByColour window, window_before;           // the same, by time
  };

  void advance(uint64_t now_ns);
  void invest(double capital);
  double not_invested() const;
  static void count(State& state, const ByColour& counted);
  void bet(State& state, double share, double green, double blue);
  double log_value_of(const State& state) const;
  bool differs(const State& state) const;
  size_t stream_of(size_t state) const;

  static constexpr size_t kNone = SIZE_MAX;
  std::vector<Stream> streams_;
  std::vector<State> states_;        // of the streams, and behind them of the joint ones
  std::vector<size_t> joint_of_;     // by stream: an index of states_, or kNone
  std::vector<double> log_weights_;  // by state: its part of the capital
  std::vector<double> shares_;       // by step
  double highest_share_ = 0;
  Colour tested_;
  double log_threshold_;
  uint64_t start_ns_;
  uint64_t now_ns_;
  uint64_t restarts_ = 0;
  uint64_t window_began_ns_;
};

}  // namespace teal
