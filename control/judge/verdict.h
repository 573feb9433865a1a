// SPDX-License-Identifier: Apache-2.0
//
// The words and figures of a judgement: what is counted, what a test found, and one line of text about it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "dataplane/shm/ruleset.h"

namespace teal {

// The chance of a false alarm in a rollout of equal colours is at most kAlpha. The two tests of a rollout
// share it. FlipJudge sees all flows, so the smaller part costs it some milliseconds only.
inline constexpr double kAlpha = 0.001;
inline constexpr double kRampAlpha = 0.9 * kAlpha;
inline constexpr double kFlipAlpha = 0.1 * kAlpha;

// How a flow failed. A flow fails once: its first failure counts, and later ones do not.
enum class Signal : uint8_t {
  kRefused,     // RST of the backend before the flow was established
  kUnanswered,  // no answer to a SYN after 1 s, or at the first repeated SYN
  kReset,       // RST of the backend after the flow was established
  kSlow,        // the first answer took longer than 99 % of those of the old colour
  kNoReply,     // a UDP request without a reply
};

// Returns what a count of this signal is called: "refused", "without a reply".
const char* name_of(Signal signal);

// Returns true if a stranger can cause this signal with forged source addresses.
constexpr bool is_forgeable(Signal signal) {
  return signal == Signal::kUnanswered || signal == Signal::kNoReply;
}

// Numbers of flows. For kSlow, `begun` counts the flows that were measured.
struct Figures {
  uint64_t begun = 0;
  uint64_t failed = 0;

  Figures& operator+=(const Figures& more) {
    begun += more.begun;
    failed += more.failed;
    return *this;
  }
  double rate() const { return begun == 0 ? 0 : static_cast<double>(failed) / static_cast<double>(begun); }
  friend bool operator==(const Figures&, const Figures&) = default;
};

// Returns the upper bound of the failure rate, 0 to 1: the one-sided 95 % bound of Clopper and Pearson
// (Biometrika 26, 1934). A higher rate would give so few failures in fewer than 5 % of cases. Returns 1 if
// nothing began, or if all failed.
double upper_bound_of(const Figures& figures);

// Returns the lower bound of the same kind. Returns 0 if nothing failed.
double lower_bound_of(const Figures& figures);

// One stream of outcomes: a signal of a service.
struct Stream {
  uint16_t service = 0;  // any number that the caller chooses
  Signal signal = Signal::kRefused;
};

enum class Judgement : uint8_t {
  kNotWorse,    // nothing was found, so far
  kBad,         // the tested colour is worse than the other one
  kBothSick,    // the tested colour is worse than the other one was, but that one is sick now, too
  kNoBaseline,  // the old colour had too few flows: there is nothing to compare with
};

// Returns "not_worse", "bad", "both_sick" or "no_baseline".
const char* name_of(Judgement judgement);

// The state of a test at a moment.
struct Verdict {
  Judgement judgement = Judgement::kNotWorse;
  double log_value = 0;  // natural logarithm of the test's value, of all streams together
  size_t worst = 0;      // index of the stream with the greatest value
  Stream stream;         // this stream
  Colour tested = Colour::kGreen;
  size_t services = 1;  // whose flows the figures count: above 1 if only all services together are bad
  Figures of_tested;    // of this stream, in these services
  Figures of_other;  // during a ramp: since the step began; after a full flip: of the last 5 minutes before
};

// Returns the decimal logarithm of the test's value, rounded to 0.01. Minus infinity: no stream is judged.
double log10_value(const Verdict& verdict);

// Returns one line about the stream with the greatest value, for example
//   "green: 0 of 4,210 refused, at most 0.1 % (blue 0.0 %)"
//   "green is bad: 61 of 1,220 reset, at least 4.1 % (blue 0.1 %)"
//   "green is bad: 6 of 1,000 reset in 10 services, at least 0.2 % (blue 0.0 %)"
//
// "At most" and "at least" are upper_bound_of() and lower_bound_of(), rounded up and down. The figure in
// parentheses is the plain rate of the other colour.
std::string line_of(const Verdict& verdict);

// Returns the line of a stream that was not judged bad.
std::string line_of(Signal signal, Colour tested, const Figures& of_tested, const Figures& of_other);

}  // namespace teal
