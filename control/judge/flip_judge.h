// SPDX-License-Identifier: Apache-2.0
//
// The judgement after a full flip. The old colour takes no new flows any more, so the colours cannot be
// compared at the same time. The new colour is compared with the last 5 minutes of the old one. This
// judgement is weaker than the judgement of a ramp: if both colours fail after the flip, the new one looks
// bad. See "both sick" below.
//
// Theory of operation.
//
//   1. `u` is the upper bound of the old colour's failure rate (upper_bound_of()). The hypothesis is that
//      each new flow fails with a chance of at most p0 = max(2u, u + 0.5 points).
//   2. A gambler bets against the hypothesis at each flow. If the odds of a failure are r times the odds of
//      p0, the chance of a failure is p = r p0 / (1 - p0 + r p0). A flow that begins multiplies the capital
//      by (1 - p)/(1 - p0), as if the flow were good. A failure that becomes known multiplies the capital
//      by r: this takes the first factor back and puts p/p0 in its place. Under the hypothesis the capital
//      does not grow on average. So it reaches 1/alpha with a chance of at most alpha, at any time (Ville
//      1939).
//   3. The capital is divided evenly among r = 2, 4, 8, ... 512, and among the streams.
//   4. The colour may become bad late. So 80 % of a stream's capital bets from the flip, and the rest is
//      invested every 10 s (capital.h). A failure that is known after an investment may be of a flow that
//      was born before it. So each bet also counts the births of the 10 s before it. This is right if
//      failures are known within 10 s. Resets may come later, so all of their capital bets from the flip.
//
// Late outcomes: a flow counts as good until its failure is known. So the value is at most what it would be
// if all outcomes were known at once, and lateness raises no alarm. It would be wrong to count only flows
// whose outcome is known: a refusal is known at once, and a success is not.
//
// One client of many causes no rollback. Flows are counted by *cells*: a hash of the client's address,
// without its port, chooses one of 8. The value of a stream is the smallest of its values with one cell left
// out, so a single client cannot raise it. A cell that had more than half of the old colour's flows is never
// left out, because it holds the usual clients. So a service with one client (a proxy, for example) is
// judged, too. The smallest of several values is at most each one, so rule 2 still holds. A stream counts
// from 5 failures in the cells that are left.
//
// A SYN flood causes no rollback. Unanswered SYNs and UDP requests without a reply are not counted while
// new flows come at more than 3 times the old rate, and for 3 s after that (FloodGuard).
//
// Both sick: the caller says how the old colour is now. It asks for a health check when the test has an
// answer. If the old colour is sick, too, the verdict is kBothSick, and Teal moves nothing (promise 19).
// The caller then calls forget(). The failures of a common outage say nothing about the new colour, and
// must not count when the old one is well again.
//
// The caller must keep these assumptions:
//
//   a. Only flows that were born after the flip on the new colour are counted, and a flow fails once.
//   b. Failures of flows are independent, given their rate. A short common outage breaks this.
//   c. The old colour's rate before the flip says what is normal now, within a factor of 2.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "control/judge/flood_guard.h"
#include "control/judge/verdict.h"

namespace teal {

class FlipJudge {
 public:
  static constexpr size_t kRatios = 9;  // 2, 4, ... 512
  static constexpr double kFirstRatio = 2;
  static constexpr double kLeastDifference = 0.005;
  static constexpr uint64_t kLeastFailures = 5;
  static constexpr uint64_t kForgetNs = 30'000'000'000;
  static constexpr size_t kClientCells = teal::kClientCells;
  using ByCell = std::array<Figures, kClientCells>;

  // The old state of a stream. `cells` are the flows of the old colour in its last 5 minutes.
  // `flows_per_second` are the new flows of the service in that time, of both colours.
  struct Baseline {
    Stream stream;
    ByCell cells;
    double flows_per_second = 0;
  };

  enum class OldColour : uint8_t {
    kNotAsked,  // it has no checks, or none has answered since the failures began
    kGood,
    kSick,
  };

  // `streams` has at least one row. `alpha` is the greatest chance of a false alarm, above 0 and below 1.
  // Times are in ns of a clock that does not go back; a time before the latest one counts as the latest one.
  FlipJudge(std::span<const Baseline> streams, Colour tested, uint64_t flip_ns, double alpha = kFlipAlpha);

  // Adds what has become known since the last call. A flow is added to `begun` at its birth, and to `failed`
  // when the failure is known. `stream` is an index of the constructor's list.
  void add(size_t stream, const ByCell& counted, uint64_t now_ns);

  // Drops all evidence. Outcomes of the next kForgetNs are not counted either, because most are of flows born
  // before. Then the test begins again, with another chance of alpha.
  void forget(uint64_t now_ns);

  Verdict verdict(OldColour old_colour = OldColour::kNotAsked) const;

  // Returns the highest failure rate that counts as normal, 0 to 1. A stream of 1 is not judged.
  double normal_rate(size_t stream) const { return states_[stream].normal_rate; }

 private:
  // Index 0 to 7: this cell is left out; kClientCells: no cell is.
  static constexpr size_t kVariants = kClientCells + 1;
  using LogCapital = std::array<double, kRatios>;

  struct State {
    Stream stream;
    Figures before;
    double normal_rate;                     // p0
    LogCapital log_birth_factors;           // (1 - p)/(1 - p0) of each ratio
    std::array<bool, kVariants> is_judged;  // this cell may be left out
    std::optional<FloodGuard> flood_guard;  // only of a forgeable signal
    std::array<LogCapital, kVariants> log_capital;
    ByCell cells;
    std::array<uint64_t, kClientCells> begun_before;  // at the latest investment
  };
  static State state_of(const Baseline& baseline, uint64_t flip_ns);
  void start(State& state) const;
  void advance(uint64_t now_ns);
  void invest(State& state, double capital) const;
  double log_value_of(const State& state) const;

  std::vector<State> states_;
  Colour tested_;
  double log_threshold_;
  uint64_t start_ns_;
  uint64_t now_ns_;
  uint64_t restarts_ = 0;
};

}  // namespace teal
