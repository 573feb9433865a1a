// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/judge/simulation.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace teal::judge_simulation {

uint64_t Random::poisson(double mean) {
  if (mean <= 0) return 0;
  if (mean > 12) return std::poisson_distribution<uint64_t>(mean)(bits_);
  // The sum of chances passes a uniform number.
  uint64_t count = 0;
  double chance = std::exp(-mean), left = part() - chance;
  while (left > 0 && chance > 1e-300) {
    ++count;
    chance *= mean / static_cast<double>(count);
    left -= chance;
  }
  return count;
}

uint64_t Random::binomial(uint64_t trials, double chance) {
  if (trials == 0 || chance <= 0) return 0;
  if (chance >= 1) return trials;
  if (chance > 0.5) return trials - binomial(trials, 1 - chance);
  if (const double mean = static_cast<double>(trials) * chance; mean > 12)
    return std::binomial_distribution<uint64_t>(trials, chance)(bits_);
  // Gaps between successes are geometric.
  uint64_t successes = 0;
  const double log_failure = std::log1p(-chance);
  for (double place = 0;; ++successes) {
    place += std::floor(std::log1p(-part()) / log_failure) + 1;
    if (place > static_cast<double>(trials)) return successes;
  }
}

double Traffic::delay_of(size_t signal) {
  switch (kTcpSignals[signal]) {
    case Signal::kUnanswered:
      return delays_.unanswered;
    case Signal::kSlow:
      return delays_.slow;
    case Signal::kReset:
      return random.exponential(delays_.reset_mean);
    default:
      return 0;
  }
}

void Traffic::fail(uint64_t flows, uint32_t step, Colour colour, const Rates& rates, size_t cell) {
  uint64_t left = flows;
  double chance_left = 1;
  for (size_t signal = 0; signal < kSignals && left > 0; ++signal) {
    const uint64_t failed = random.binomial(left, std::min(1.0, rates[signal] / chance_left));
    left -= failed;
    chance_left -= rates[signal];
    for (uint64_t flow = 0; flow < failed; ++flow) {
      const auto ticks = static_cast<uint64_t>(std::ceil(delay_of(signal) / tick_seconds_));
      const size_t client = cell < FlipJudge::kClientCells
                                ? cell
                                : static_cast<size_t>(random.uniform(0, FlipJudge::kClientCells));
      later_[(tick_ + std::min<uint64_t>(ticks, kTicks - 1)) % kTicks].push_back(
          {step, colour, signal, client});
    }
  }
}

std::array<uint64_t, kColours> Traffic::begin(double flows_per_second, double share, uint32_t step,
                                              const std::array<Rates, kColours>& rates) {
  std::array<uint64_t, kColours> begun;
  for (const Colour colour : {Colour::kBlue, Colour::kGreen}) {
    const auto index = static_cast<size_t>(colour);
    const double part = colour == Colour::kGreen ? share : 1 - share;
    begun[index] = random.poisson(flows_per_second * part * tick_seconds_);
    fail(begun[index], step, colour, rates[index], FlipJudge::kClientCells);
  }
  return begun;
}

void Traffic::begin_green(uint64_t flows, uint32_t step, const Rates& rates, size_t cell) {
  fail(flows, step, Colour::kGreen, rates, cell);
}

std::vector<Known> Traffic::end_tick() {
  std::vector<Known> known;
  known.swap(later_[tick_ % kTicks]);
  ++tick_;
  return known;
}

void add_to(RampJudge& test, uint32_t step, const std::array<uint64_t, kColours>& begun,
            const std::vector<Known>& known, uint64_t now_ns, size_t service) {
  for (size_t signal = 0; signal < kSignals; ++signal) {
    for (uint32_t born = 0; born <= step; ++born) {
      RampJudge::ByColour counted{};
      for (const Known& failure : known) {
        if (failure.step == born && failure.signal == signal)
          ++counted[static_cast<size_t>(failure.colour)].failed;
      }
      if (born == step) {
        for (size_t colour = 0; colour < kColours; ++colour) counted[colour].begun = begun[colour];
      } else if (counted == RampJudge::ByColour{}) {
        continue;
      }
      test.add(service * kSignals + signal, born, counted, now_ns);
    }
  }
}

void add_to(FlipJudge& test, uint32_t step, uint64_t begun, const FlipJudge::ByCell& extra,
            const std::vector<Known>& known, uint64_t now_ns) {
  for (size_t signal = 0; signal < kSignals; ++signal) {
    FlipJudge::ByCell counted = extra;
    for (size_t cell = 0; cell < FlipJudge::kClientCells; ++cell)
      counted[cell].begun += (begun + cell) / FlipJudge::kClientCells;
    for (const Known& failure : known) {
      if (failure.step == step && failure.colour == Colour::kGreen && failure.signal == signal)
        ++counted[failure.cell].failed;
    }
    test.add(signal, counted, now_ns);
  }
}

std::vector<FlipJudge::Baseline> baselines_of(const Before& before) {
  std::vector<FlipJudge::Baseline> baselines;
  for (size_t signal = 0; signal < kSignals; ++signal) {
    FlipJudge::Baseline baseline;
    baseline.stream.signal = kTcpSignals[signal];
    baseline.flows_per_second = before.flows_per_second;
    for (size_t cell = 0; cell < FlipJudge::kClientCells; ++cell) {
      baseline.cells[cell] = {(before.figures[signal].begun + cell) / FlipJudge::kClientCells,
                              (before.figures[signal].failed + cell) / FlipJudge::kClientCells};
    }
    baselines.push_back(baseline);
  }
  return baselines;
}

std::vector<Stream> streams_of(size_t services) {
  std::vector<Stream> streams;
  for (size_t service = 0; service < services; ++service) {
    for (const Signal signal : kTcpSignals) streams.push_back({static_cast<uint16_t>(service), signal});
  }
  return streams;
}

uint64_t number_from(const char* variable, uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

}  // namespace teal::judge_simulation
