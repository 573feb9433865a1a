// SPDX-License-Identifier: Apache-2.0
//
// The tests, compared with the plainest version of themselves: probabilities as they are written in the
// headers, multiplied failure by failure in long double, without logarithms.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/unit/control/judge/simulation.h"

namespace teal::judge_simulation {
namespace {

constexpr double kPrecision = 1e-9;  // of a logarithm

// A bet on one ratio. It began at one moment.
struct Bet {
  size_t stream;  // or the number of streams + a signal: on the failures of all services by this signal
  long double ratio, capital;
};

// Returns investment number n (from 1) of a purse of 1.
long double investment(int n) {
  return 1 / (static_cast<long double>(n) * (n + 1));
}

// Every investment of RampJudge is a bet of its own.
class PlainRampTest {
 public:
  // Each service has all signals, and the streams of a service follow each other.
  explicit PlainRampTest(size_t services) : services_(services), streams_(services * kSignals) {}

  void begin_step() { invest(0.8L * investment(++steps_)); }
  void advance(double seconds) {
    while (restarts_ + 1 <= seconds / 10) invest(0.2L * investment(++restarts_));
  }
  void failure(size_t stream, bool is_green, long double share) {
    const long double q0 = 2 * share / (1 + share);
    for (Bet& bet : bets_) {
      if (bet.stream != stream && bet.stream != streams_ + stream % kSignals) continue;
      const long double q = bet.ratio * share / (1 - share + bet.ratio * share);
      bet.capital *= is_green ? q / q0 : (1 - q) / (1 - q0);
    }
  }
  long double value() const {
    long double sum = not_invested_;
    for (const Bet& bet : bets_) sum += bet.capital;
    return sum;
  }

 private:
  void invest(long double part) {
    not_invested_ -= part;
    const long double of_streams = services_ > 1 ? part / 2 : part;
    for (long double ratio = 4; ratio <= 512; ratio *= 2) {
      for (size_t stream = 0; stream < streams_; ++stream)
        bets_.push_back({stream, ratio, of_streams / 8 / static_cast<long double>(streams_)});
      for (size_t signal = 0; signal < kSignals && services_ > 1; ++signal)
        bets_.push_back({streams_ + signal, ratio, part / 2 / 8 / kSignals});
    }
  }
  static constexpr size_t kSignals = std::size(kTcpSignals);
  size_t services_, streams_;
  int steps_ = 0, restarts_ = 0;
  long double not_invested_ = 1;
  std::vector<Bet> bets_;
};

TEST(Reference, RampJudgeHasTheValueOfThePlainestVersion) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Random random(seed);
    const size_t services = 1 + seed % 3, streams = streams_of(services).size();
    RampJudge test(streams_of(services), Colour::kGreen, 0);
    PlainRampTest plain(services);
    std::vector<double> shares;
    double seconds = 0;
    for (int event = 0; event < 200; ++event) {
      if (shares.empty() || random.happens(0.03)) {
        shares.push_back(random.uniform(0.001, 0.9));
        test.begin_step(shares.back(), static_cast<uint64_t>(seconds * 1e9));
        plain.begin_step();
      }
      seconds += random.exponential(random.happens(0.02) ? 60 : 0.5);
      const auto stream = static_cast<size_t>(random.uniform(0, static_cast<double>(streams)));
      auto step = static_cast<uint32_t>(random.uniform(0, static_cast<double>(shares.size())));
      const uint64_t green = random.poisson(0.5), blue = random.poisson(0.5);
      double share = shares[step];
      if (random.happens(0.1)) {
        step = RampJudge::kUnknownStep;
        share = *std::max_element(shares.begin(), shares.end());
      }
      test.add(stream, step, {Figures{5, blue}, Figures{5, green}}, static_cast<uint64_t>(seconds * 1e9));
      plain.advance(seconds);
      for (uint64_t failure = 0; failure < green; ++failure) plain.failure(stream, true, share);
      for (uint64_t failure = 0; failure < blue; ++failure) plain.failure(stream, false, share);
      const auto expected = static_cast<double>(std::log(plain.value()));
      ASSERT_NEAR(test.verdict().log_value, expected, kPrecision * std::max(1.0, std::abs(expected)))
          << "seed " << seed << ", event " << event;
    }
  }
}

// A stream of FlipJudge without one of the cells (kClientCells: with all cells). Every investment is a bet of
// its own.
class PlainFlipStream {
 public:
  PlainFlipStream(size_t without, long double p0, bool has_restarts)
      : without_(without), p0_(p0), has_restarts_(has_restarts) {
    invest(has_restarts ? 0.8L : 1.0L, 0);
  }
  void advance(double seconds) {
    if (!has_restarts_ || restarts_ + 1 > seconds / 10) return;
    // All that are due at once follow the same births.
    while (restarts_ + 1 <= seconds / 10) invest(0.2L * investment(++restarts_), begun_lately_);
    begun_lately_ = 0;
  }
  void add(const FlipJudge::ByCell& counted) {
    for (size_t cell = 0; cell < counted.size(); ++cell) {
      if (cell == without_) continue;
      failures_ += counted[cell].failed;
      begun_lately_ += counted[cell].begun;
      for (Bet& bet : bets_) {
        for (uint64_t flow = 0; flow < counted[cell].begun; ++flow) bet.capital *= good(bet.ratio);
        for (uint64_t flow = 0; flow < counted[cell].failed; ++flow)
          bet.capital *= p(bet.ratio) / p0_ / good(bet.ratio);
      }
    }
  }
  long double value() const {
    long double sum = has_restarts_ ? 1 - invested_ : 0;
    for (const Bet& bet : bets_) sum += bet.capital;
    return failures_ >= 5 ? sum : std::min(sum, 1.0L);
  }

 private:
  long double p(long double ratio) const { return ratio * p0_ / (1 - p0_ + ratio * p0_); }
  long double good(long double ratio) const { return (1 - p(ratio)) / (1 - p0_); }
  void invest(long double part, uint64_t begun_before) {
    invested_ += part;
    for (long double ratio = 2; ratio <= 512; ratio *= 2) {
      bets_.push_back({0, ratio, part / 9});
      for (uint64_t flow = 0; flow < begun_before; ++flow) bets_.back().capital *= good(ratio);
    }
  }
  size_t without_;
  long double p0_;
  bool has_restarts_;
  int restarts_ = 0;
  uint64_t failures_ = 0, begun_lately_ = 0;
  long double invested_ = 0;
  std::vector<Bet> bets_;
};

FlipJudge::Baseline random_baseline(Random& random, Signal signal, double usual_cell) {
  FlipJudge::Baseline baseline;
  baseline.stream.signal = signal;
  for (size_t cell = 0; cell < FlipJudge::kClientCells; ++cell) {
    const uint64_t begun = random.poisson(cell == 2 ? 2000 * usual_cell : 100);
    baseline.cells[cell] = {begun, random.binomial(begun, 0.01)};
  }
  return baseline;
}

// Returns the plain streams whose smallest value counts.
std::vector<PlainFlipStream> plain_streams(const FlipJudge::Baseline& baseline) {
  Figures before;
  for (const Figures& cell : baseline.cells) before += cell;
  const double bound = upper_bound_of(before);
  const double p0 = std::max(2 * bound, bound + 0.005);
  const bool has_restarts = baseline.stream.signal != Signal::kReset;
  std::vector<PlainFlipStream> streams{{FlipJudge::kClientCells, p0, has_restarts}};
  for (size_t cell = 0; cell < FlipJudge::kClientCells; ++cell) {
    if (2 * baseline.cells[cell].begun <= before.begun) streams.emplace_back(cell, p0, has_restarts);
  }
  return streams;
}

TEST(Reference, FlipJudgeHasTheValueOfThePlainestVersion) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Random random(seed);
    const double usual_cell = random.uniform(0, 1.2);
    const std::vector<FlipJudge::Baseline> baselines = {
        random_baseline(random, Signal::kReset, usual_cell),
        random_baseline(random, Signal::kRefused, usual_cell)};
    FlipJudge test(baselines, Colour::kGreen, 0);
    std::vector plain = {plain_streams(baselines[0]), plain_streams(baselines[1])};
    double seconds = 0;
    for (int poll = 1; poll < 20; ++poll) {
      seconds += random.exponential(5);
      long double expected = 0;
      for (size_t stream = 0; stream < 2; ++stream) {
        FlipJudge::ByCell counted;
        for (Figures& cell : counted) {
          cell.begun = random.poisson(5);
          cell.failed = random.binomial(cell.begun, 0.1);
        }
        test.add(stream, counted, static_cast<uint64_t>(seconds * 1e9));
        std::vector<long double> values;
        for (PlainFlipStream& variant : plain[stream]) {
          variant.advance(seconds);
          variant.add(counted);
          values.push_back(variant.value());
        }
        expected += *std::min_element(values.begin(), values.end()) / 2;
      }
      const auto log_expected = static_cast<double>(std::log(expected));
      ASSERT_NEAR(test.verdict().log_value, log_expected, 1e-8 * std::max(1.0, std::abs(log_expected)))
          << "seed " << seed << ", poll " << poll;
    }
  }
}

// Returns the chance of at most `failed` failures in `begun` flows, term by term.
long double chance_of_at_most(uint64_t failed, uint64_t begun, long double rate) {
  long double sum = 0;
  for (uint64_t count = 0; count <= failed; ++count) {
    long double term = 1;
    for (uint64_t index = 0; index < count; ++index)
      term *= rate * static_cast<long double>(begun - index) / static_cast<long double>(index + 1);
    sum += term * std::pow(1 - rate, static_cast<long double>(begun - count));
  }
  return sum;
}

TEST(Reference, BoundsHaveTheChancesOfThePlainestVersion) {
  Random random(1);
  for (int run = 0; run < 300; ++run) {
    const uint64_t begun = 1 + static_cast<uint64_t>(random.log_uniform(1, 5000));
    const uint64_t failed = random.binomial(begun, random.log_uniform(1e-4, 0.1));
    if (failed >= begun) continue;
    EXPECT_NEAR(static_cast<double>(chance_of_at_most(failed, begun, upper_bound_of({begun, failed}))), 0.05,
                1e-7)
        << failed << " of " << begun;
    if (failed == 0) continue;
    EXPECT_NEAR(
        static_cast<double>(1 - chance_of_at_most(failed - 1, begun, lower_bound_of({begun, failed}))), 0.05,
        1e-7)
        << failed << " of " << begun;
  }
}

}  // namespace
}  // namespace teal::judge_simulation
