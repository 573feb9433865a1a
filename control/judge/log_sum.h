// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace teal {

// Sums of numbers that are given by their natural logarithms. They neither overflow nor underflow.

inline constexpr double kLogOfZero = -std::numeric_limits<double>::infinity();

inline double log_of_sum(double log_a, double log_b) {
  const double greater = std::max(log_a, log_b), smaller = std::min(log_a, log_b);
  return greater == kLogOfZero ? kLogOfZero : greater + std::log1p(std::exp(smaller - greater));
}

inline double log_of_mean(std::span<const double> logs) {
  constexpr double kNegligible = -45;  // e^-45 is below the precision of a double next to 1
  const double greatest = *std::max_element(logs.begin(), logs.end());
  if (greatest == kLogOfZero) return kLogOfZero;
  double sum = 0;
  for (const double log : logs) {
    if (log - greatest > kNegligible) sum += std::exp(log - greatest);
  }
  return greatest + std::log(sum / static_cast<double>(logs.size()));
}

}  // namespace teal
