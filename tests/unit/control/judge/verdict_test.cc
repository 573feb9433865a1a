// SPDX-License-Identifier: Apache-2.0
#include "control/judge/verdict.h"

#include <cmath>

#include <gtest/gtest.h>

namespace teal {
namespace {

TEST(Bounds, AreThoseOfClopperAndPearson) {
  // Nothing failed: 1 - 0.05^(1/n). All but one failed: 0.95^(1/n).
  EXPECT_NEAR(upper_bound_of({4210, 0}), 1 - std::pow(0.05, 1 / 4210.0), 1e-9);
  EXPECT_NEAR(upper_bound_of({100, 99}), std::pow(0.95, 1 / 100.0), 1e-9);
  EXPECT_NEAR(lower_bound_of({100, 100}), std::pow(0.05, 1 / 100.0), 1e-9);
}

TEST(Bounds, OfNothingSayNothing) {
  EXPECT_EQ(upper_bound_of({0, 0}), 1);
  EXPECT_EQ(upper_bound_of({10, 10}), 1);
  EXPECT_EQ(lower_bound_of({0, 0}), 0);
  EXPECT_EQ(lower_bound_of({10, 0}), 0);
}

TEST(Bounds, CopeWithManyFlows) {
  const Figures many{10'000'000'000, 10'000'000};
  EXPECT_GT(upper_bound_of(many), many.rate());
  EXPECT_LT(upper_bound_of(many), many.rate() * 1.001);
  EXPECT_LT(lower_bound_of(many), many.rate());
}

TEST(Bounds, CopeWithMoreFailuresThanFlows) {
  // Late failures of a former step.
  EXPECT_EQ(upper_bound_of({3, 5}), 1);
  EXPECT_LE(lower_bound_of({3, 5}), 1);
}

TEST(VerdictLine, HasFiguresBoundAndTheOtherColour) {
  EXPECT_EQ(line_of(Signal::kRefused, Colour::kGreen, {4210, 0}, {421'000, 421}),
            "green: 0 of 4,210 refused, at most 0.1 % (blue 0.1 %)");
  EXPECT_EQ(line_of(Signal::kNoReply, Colour::kBlue, {1'234'567, 1000}, {0, 0}),
            "blue: 1,000 of 1,234,567 without a reply, at most 0.1 % (green: no flows)");
  EXPECT_EQ(line_of(Signal::kSlow, Colour::kGreen, {0, 0}, {500, 5}), "green: no flows yet (blue 1.0 %)");
}

TEST(VerdictLine, SaysWhatWasFound) {
  Verdict verdict;
  verdict.stream.signal = Signal::kReset;
  verdict.of_tested = {1220, 61};
  verdict.of_other = {150'000, 150};
  EXPECT_EQ(line_of(verdict), "green: 61 of 1,220 reset, at most 6.2 % (blue 0.1 %)");
  verdict.judgement = Judgement::kBad;
  EXPECT_EQ(line_of(verdict), "green is bad: 61 of 1,220 reset, at least 4.0 % (blue 0.1 %)");
  verdict.judgement = Judgement::kBothSick;
  EXPECT_EQ(line_of(verdict), "green is bad: 61 of 1,220 reset (blue 0.1 %), but blue is sick, too");
  verdict.judgement = Judgement::kNoBaseline;
  EXPECT_EQ(line_of(verdict), "green: not judged, blue had too few flows before the flip");
}

}  // namespace
}  // namespace teal
