// SPDX-License-Identifier: Apache-2.0
#include "control/judge/verdict.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace teal {
namespace {

constexpr double kConfidence = 0.95;

// Returns the continued fraction of the incomplete beta function (NIST DLMF 8.17.22), by Lentz's method.
// It converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300, kPrecision = 1e-13;
  constexpr int kMaxTerms = 100'000;
  const auto not_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / not_zero(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int m = 1; m < kMaxTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / not_zero(1 + even * d);
    c = not_zero(1 + even / c);
    fraction *= c * d;
    d = 1 / not_zero(1 + odd * d);
    c = not_zero(1 + odd / c);
    fraction *= c * d;
    if (std::abs(c * d - 1) < kPrecision) break;
  }
  return fraction;
}

// Returns the regularised incomplete beta function I_x(a, b): the chance of at least a successes in
// a + b - 1 trials with the chance x each.
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                   : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

// Returns the rate at which at least `failed` of `begun` flows fail with this chance.
double rate_with_chance(double failed, double begun, double chance) {
  double low = 0, high = 1;
  for (int halvings = 0; halvings < 50; ++halvings) {
    const double middle = (low + high) / 2;
    (incomplete_beta(failed, begun - failed + 1, middle) < chance ? low : high) = middle;
  }
  return (low + high) / 2;
}

// 4210 as "4,210".
std::string with_commas(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t place = text.size(); place > 3; place -= 3) text.insert(place - 3, 1, ',');
  return text;
}

// One decimal, always rounded in one direction.
std::string percent_rounded_up(double part) {
  return fmt::format("{:.1f} %", std::ceil(part * 1000) / 10);
}
std::string percent_rounded_down(double part) {
  return fmt::format("{:.1f} %", std::floor(part * 1000) / 10);
}

const char* colour_name(Colour colour) {
  return kColourNames[static_cast<size_t>(colour)];
}

std::string figures_text(Signal signal, const Figures& figures) {
  return fmt::format("{} of {} {}", with_commas(figures.failed), with_commas(figures.begun), name_of(signal));
}

std::string other_text(Colour tested, const Figures& figures) {
  if (figures.begun == 0) return fmt::format("({}: no flows)", colour_name(other(tested)));
  return fmt::format("({} {:.1f} %)", colour_name(other(tested)), figures.rate() * 100);
}

}  // namespace

const char* name_of(Judgement judgement) {
  switch (judgement) {
    case Judgement::kNotWorse:
      return "not_worse";
    case Judgement::kBad:
      return "bad";
    case Judgement::kBothSick:
      return "both_sick";
    case Judgement::kNoBaseline:
      break;
  }
  return "no_baseline";
}

const char* name_of(Signal signal) {
  switch (signal) {
    case Signal::kRefused:
      return "refused";
    case Signal::kUnanswered:
      return "unanswered";
    case Signal::kReset:
      return "reset";
    case Signal::kSlow:
      return "slow";
    case Signal::kNoReply:
      return "without a reply";
  }
  return "unknown";
}

double upper_bound_of(const Figures& figures) {
  if (figures.failed >= figures.begun) return 1;
  return rate_with_chance(static_cast<double>(figures.failed) + 1, static_cast<double>(figures.begun),
                          kConfidence);
}

double lower_bound_of(const Figures& figures) {
  if (figures.failed == 0 || figures.begun == 0) return 0;
  // Late failures of earlier flows can be more than the flows that began.
  const uint64_t failed = std::min(figures.failed, figures.begun);
  return rate_with_chance(static_cast<double>(failed), static_cast<double>(figures.begun), 1 - kConfidence);
}

std::string line_of(Signal signal, Colour tested, const Figures& of_tested, const Figures& of_other) {
  if (of_tested.begun == 0) {
    return fmt::format("{}: no flows yet {}", colour_name(tested), other_text(tested, of_other));
  }
  return fmt::format("{}: {}, at most {} {}", colour_name(tested), figures_text(signal, of_tested),
                     percent_rounded_up(upper_bound_of(of_tested)), other_text(tested, of_other));
}

double log10_value(const Verdict& verdict) {
  return std::round(verdict.log_value / std::log(10.0) * 100) / 100;
}

std::string line_of(const Verdict& verdict) {
  const char* tested = colour_name(verdict.tested);
  const std::string figures = figures_text(verdict.stream.signal, verdict.of_tested);
  const std::string beside = other_text(verdict.tested, verdict.of_other);
  switch (verdict.judgement) {
    case Judgement::kNotWorse:
      break;
    case Judgement::kBad:
      return fmt::format("{} is bad: {}{}, at least {} {}", tested, figures,
                         verdict.services == 1 ? "" : fmt::format(" in {} services", verdict.services),
                         percent_rounded_down(lower_bound_of(verdict.of_tested)), beside);
    case Judgement::kBothSick:
      return fmt::format("{} is bad: {} {}, but {} is sick, too", tested, figures, beside,
                         colour_name(other(verdict.tested)));
    case Judgement::kNoBaseline:
      return fmt::format("{}: not judged, {} had too few flows before the flip", tested,
                         colour_name(other(verdict.tested)));
  }
  return line_of(verdict.stream.signal, verdict.tested, verdict.of_tested, verdict.of_other);
}

}  // namespace teal
