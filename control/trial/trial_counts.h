// SPDX-License-Identifier: Apache-2.0
//
// The outcomes of flows that a judgement may count, by cell of clients (TrialCounters in
// dataplane/shm/counters.h). They only grow while a segment lives.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "dataplane/shm/counters.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

struct TrialCounts {
  uint64_t begun = 0, refused = 0, unanswered = 0, reset = 0, no_reply = 0, measured = 0, slow = 0;

  static constexpr uint64_t TrialCounts::*kFields[] = {
      &TrialCounts::begun,    &TrialCounts::refused,  &TrialCounts::unanswered, &TrialCounts::reset,
      &TrialCounts::no_reply, &TrialCounts::measured, &TrialCounts::slow};

  TrialCounts& operator+=(const TrialCounts& more) {
    for (const auto field : kFields) this->*field += more.*field;
    return *this;
  }
  // Returns the flows since `before`; nothing is negative.
  TrialCounts since(const TrialCounts& before) const {
    TrialCounts news;
    for (const auto field : kFields)
      news.*field = this->*field > before.*field ? this->*field - before.*field : 0;
    return news;
  }
  // Returns whether each count is at least as high as in `before`. If not, the counters began again.
  bool follows(const TrialCounts& before) const {
    for (const auto field : kFields)
      if (this->*field < before.*field) return false;
    return true;
  }
  friend bool operator==(const TrialCounts&, const TrialCounts&) = default;
};

using TrialCells = std::array<TrialCounts, kClientCells>;

inline TrialCounts sum_of(const TrialCells& cells) {
  TrialCounts sum;
  for (const TrialCounts& cell : cells) sum += cell;
  return sum;
}
inline TrialCells since(const TrialCells& before, const TrialCells& now) {
  TrialCells news;
  for (size_t cell = 0; cell < kClientCells; ++cell) news[cell] = now[cell].since(before[cell]);
  return news;
}
inline bool follows(const TrialCells& before, const TrialCells& now) {
  for (size_t cell = 0; cell < kClientCells; ++cell)
    if (!now[cell].follows(before[cell])) return false;
  return true;
}

// The counts of the first answers' times, as in TimeHistogram.
using AnswerTimes = std::array<uint64_t, TimeHistogram::kBounds + 1>;

// Reads the counters of a service in one colour, summed over workers.
struct TrialSource {
  std::function<TrialCells(uint16_t service, Colour)> cells;
  std::function<AnswerTimes(uint16_t service, Colour)> answer_times;
};

}  // namespace teal
