// SPDX-License-Identifier: Apache-2.0
//
// Simulated traffic for the judgement: flows that begin and fail, and outcomes that are known later. A poll
// of the counters is one tick.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "control/judge/flip_judge.h"
#include "control/judge/ramp_judge.h"

namespace teal::judge_simulation {

// The signals of a TCP service. Each is a stream.
inline constexpr std::array kTcpSignals = {Signal::kRefused, Signal::kUnanswered, Signal::kReset,
                                           Signal::kSlow};
inline constexpr size_t kSignals = kTcpSignals.size();
using Rates = std::array<double, kSignals>;  // the chance of each failure; they add up to 1 at most

class Random {
 public:
  explicit Random(uint64_t seed) : bits_(seed) {}
  double uniform(double low, double high) { return low + (high - low) * part(); }
  double log_uniform(double low, double high) { return std::exp(uniform(std::log(low), std::log(high))); }
  uint64_t poisson(double mean);
  uint64_t binomial(uint64_t trials, double chance);
  double exponential(double mean) { return -mean * std::log1p(-part()); }
  bool happens(double chance) { return part() < chance; }

 private:
  double part() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  std::mt19937_64 bits_;
};

// When outcomes are known, in seconds after the flow's birth.
struct Delays {
  double unanswered = 1;
  double slow = 1;
  double reset_mean = 5;  // exponential
};

// A failure that became known in a tick. `step` is the step of the flow's birth.
struct Known {
  uint32_t step;
  Colour colour;
  size_t signal;
  size_t cell;
};

// One service. Its clients are spread evenly over the cells unless a call says otherwise.
class Traffic {
 public:
  Traffic(uint64_t seed, double tick_seconds, const Delays& delays)
      : random(seed), tick_seconds_(tick_seconds), delays_(delays), later_(kTicks) {}

  // Begins the flows of a tick with this share of green. Returns how many flows of each colour began.
  std::array<uint64_t, kColours> begin(double flows_per_second, double share, uint32_t step,
                                       const std::array<Rates, kColours>& rates);
  // Begins flows of green by one client, or by clients of all cells (cell = kClientCells).
  void begin_green(uint64_t flows, uint32_t step, const Rates& rates, size_t cell);
  // Ends the tick. Returns the failures that are known by now, and were not before.
  std::vector<Known> end_tick();

  double seconds() const { return static_cast<double>(tick_) * tick_seconds_; }
  uint64_t now_ns() const { return static_cast<uint64_t>(seconds() * 1e9); }

  Random random;

 private:
  static constexpr size_t kTicks = 2048;  // longer than any delay

  void fail(uint64_t flows, uint32_t step, Colour colour, const Rates& rates, size_t cell);
  double delay_of(size_t signal);

  double tick_seconds_;
  Delays delays_;
  uint64_t tick_ = 0;
  std::vector<std::vector<Known>> later_;  // by tick
};

// A service's outcomes of a tick, in the form of RampJudge. `service` is its number in streams_of().
void add_to(RampJudge& test, uint32_t step, const std::array<uint64_t, kColours>& begun,
            const std::vector<Known>& known, uint64_t now_ns, size_t service = 0);

// The flows of green of a tick, in the form of FlipJudge. `begun` are spread evenly over the cells, and
// `extra` are further flows.
void add_to(FlipJudge& test, uint32_t step, uint64_t begun, const FlipJudge::ByCell& extra,
            const std::vector<Known>& known, uint64_t now_ns);

// The figures of the old colour's last 5 minutes.
struct Before {
  std::array<Figures, kSignals> figures;
  double flows_per_second = 0;
};
std::vector<FlipJudge::Baseline> baselines_of(const Before& before);

// All streams of one service, and of others without a failure, so that there are `services` in all.
std::vector<Stream> streams_of(size_t services);

uint64_t number_from(const char* variable, uint64_t fallback);

}  // namespace teal::judge_simulation
