// SPDX-License-Identifier: Apache-2.0
#include "control/judge/flip_judge.h"

#include <gtest/gtest.h>

#include "control/judge/flood_guard.h"

namespace teal {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

// Figures that are spread evenly over the cells.
FlipJudge::ByCell spread(uint64_t begun, uint64_t failed) {
  FlipJudge::ByCell cells;
  for (size_t cell = 0; cell < cells.size(); ++cell)
    cells[cell] = {(begun + cell) / cells.size(), (failed + cell) / cells.size()};
  return cells;
}

FlipJudge::ByCell in_cell(size_t cell, Figures figures) {
  FlipJudge::ByCell cells{};
  cells[cell] = figures;
  return cells;
}

std::vector<FlipJudge::Baseline> baseline(Signal signal, const FlipJudge::ByCell& cells,
                                          double flows_per_second = 500) {
  return {{{7, signal}, cells, flows_per_second}};
}

TEST(FlipJudgement, NormalIsTwiceTheOldBoundOrHalfAPointMore) {
  const FlipJudge good(baseline(Signal::kReset, spread(150'000, 0)), Colour::kGreen, 0);
  EXPECT_NEAR(good.normal_rate(0), upper_bound_of({150'000, 0}) + 0.005, 1e-9);
  const FlipJudge poor(baseline(Signal::kReset, spread(150'000, 15'000)), Colour::kGreen, 0);
  EXPECT_NEAR(poor.normal_rate(0), 2 * upper_bound_of({150'000, 15'000}), 1e-9);
}

TEST(FlipJudgement, AGreenThatRefusesIsBad) {
  FlipJudge test(baseline(Signal::kRefused, spread(150'000, 150)), Colour::kGreen, 0);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
  test.add(0, spread(50, 50), kSecond / 10);
  const Verdict verdict = test.verdict();
  EXPECT_EQ(verdict.judgement, Judgement::kBad);
  EXPECT_EQ(verdict.of_tested, (Figures{50, 50}));
  EXPECT_EQ(verdict.of_other, (Figures{150'000, 150}));
  EXPECT_EQ(verdict.stream.service, 7);
}

TEST(FlipJudgement, TheNormalRateIsNotBad) {
  FlipJudge test(baseline(Signal::kReset, spread(150'000, 1500)), Colour::kGreen, 0);
  for (uint64_t second = 1; second < 600; ++second) {
    test.add(0, spread(500, 10), second * kSecond);
    ASSERT_EQ(test.verdict().judgement, Judgement::kNotWorse) << second;
  }
}

TEST(FlipJudgement, FourFailuresAreTooFew) {
  // With one client all flows are in one cell, and that cell is never left out.
  const FlipJudge::ByCell one_client = in_cell(5, {150'000, 0});
  FlipJudge test(baseline(Signal::kRefused, one_client), Colour::kGreen, 0);
  test.add(0, in_cell(5, {4, 4}), 1);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
  test.add(0, in_cell(5, {1, 1}), 2);
  EXPECT_EQ(test.verdict().judgement, Judgement::kBad);
}

TEST(FlipJudgement, OneClientOfManyCausesNoRollback) {
  FlipJudge test(baseline(Signal::kReset, spread(150'000, 150)), Colour::kGreen, 0);
  for (uint64_t second = 1; second < 120; ++second) {
    // The others fail now and then, too.
    test.add(0, spread(500, second % 2), second * kSecond);
    test.add(0, in_cell(3, {5000, 5000}), second * kSecond);
    ASSERT_EQ(test.verdict().judgement, Judgement::kNotWorse) << second;
  }
}

TEST(FlipJudgement, FailuresOfTwoClientsCount) {
  FlipJudge test(baseline(Signal::kReset, spread(150'000, 150)), Colour::kGreen, 0);
  test.add(0, in_cell(3, {10, 10}), 1);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
  test.add(0, in_cell(4, {10, 10}), 2);
  EXPECT_EQ(test.verdict().judgement, Judgement::kBad);
}

TEST(FlipJudgement, TheClientWithMostOfTheOldFlowsIsNotLeftOut) {
  FlipJudge::ByCell old_flows = in_cell(3, {100'000, 0});
  old_flows[4] = {50'000, 0};
  FlipJudge test(baseline(Signal::kReset, old_flows), Colour::kGreen, 0);
  test.add(0, in_cell(3, {10, 10}), 1);
  EXPECT_EQ(test.verdict().judgement, Judgement::kBad);
}

TEST(FlipJudgement, ASynFloodCountsNothingAndALaterBlackHoleCounts) {
  FlipJudge test(baseline(Signal::kUnanswered, spread(150'000, 150)), Colour::kGreen, 0);
  uint64_t tick = 0;
  const auto tenth_of_a_second = [&](uint64_t begun, uint64_t failed) {
    test.add(0, spread(begun, failed), ++tick * kSecond / 10);
    return test.verdict().judgement;
  };
  for (int more = 0; more < 10; ++more) ASSERT_EQ(tenth_of_a_second(50, 0), Judgement::kNotWorse);
  for (int more = 0; more < 10; ++more) ASSERT_EQ(tenth_of_a_second(5050, 0), Judgement::kNotWorse);
  for (int more = 0; more < 50; ++more) ASSERT_EQ(tenth_of_a_second(5050, 5000), Judgement::kNotWorse);
  for (int more = 0; more < 10; ++more) ASSERT_EQ(tenth_of_a_second(50, 5000), Judgement::kNotWorse);
  // The flood is in the last 10 s, and then held for 3 s.
  for (int more = 0; more < 140; ++more) ASSERT_EQ(tenth_of_a_second(50, 0), Judgement::kNotWorse);
  int needed = 0;
  while (tenth_of_a_second(50, 50) != Judgement::kBad && needed < 100) ++needed;
  EXPECT_LE(needed, 5);
}

TEST(FlipJudgement, AFloodDoesNotHideRefusals) {
  FlipJudge test(baseline(Signal::kRefused, spread(150'000, 150)), Colour::kGreen, 0);
  test.add(0, spread(50'000, 50'000), kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kBad);
}

TEST(FlipJudgement, LateFailuresDoNotCountMoreThanPromptOnes) {
  // Flows fail at the normal rate, and their failures are known 9 s later: after the investments every 10 s.
  FlipJudge test(baseline(Signal::kSlow, spread(150'000, 1500)), Colour::kGreen, 0);
  for (uint64_t second = 1; second < 60; ++second) {
    test.add(0, spread(500, second > 9 ? 10 : 0), second * kSecond);
    ASSERT_EQ(test.verdict().judgement, Judgement::kNotWorse) << second;
  }
}

TEST(FlipJudgement, BothSickIsSaidAndMovesNothing) {
  FlipJudge test(baseline(Signal::kRefused, spread(150'000, 150)), Colour::kGreen, 0);
  test.add(0, spread(500, 500), kSecond);
  EXPECT_EQ(test.verdict(FlipJudge::OldColour::kSick).judgement, Judgement::kBothSick);
  EXPECT_EQ(test.verdict(FlipJudge::OldColour::kGood).judgement, Judgement::kBad);
  EXPECT_EQ(test.verdict(FlipJudge::OldColour::kNotAsked).judgement, Judgement::kBad);
}

TEST(FlipJudgement, ForgottenFailuresDoNotCountAndLaterOnesDo) {
  FlipJudge test(baseline(Signal::kRefused, spread(150'000, 150)), Colour::kGreen, 0);
  test.add(0, spread(500, 500), kSecond);
  test.forget(kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
  test.add(0, spread(500, 500), 30 * kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse) << "these flows may be of the time before";
  test.add(0, spread(50, 50), 32 * kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kBad);
}

TEST(FlipJudgement, WithoutOldFlowsThereIsNoBaseline) {
  FlipJudge test(baseline(Signal::kRefused, {}), Colour::kGreen, 0);
  test.add(0, spread(500, 500), kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNoBaseline);
}

TEST(FlipJudgement, FewOldFlowsAreEnoughForAGreenThatRefuses) {
  FlipJudge test(baseline(Signal::kRefused, spread(40, 0), 0.2), Colour::kGreen, 0);
  test.add(0, spread(40, 40), kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kBad);
}

TEST(FloodGuard, AQuietServiceMayHaveAFewFlowsTogether) {
  FloodGuard guard(0.1, 0);
  EXPECT_FALSE(guard.is_flood(3, kSecond));
  EXPECT_TRUE(guard.is_flood(3, kSecond + 1));
}

TEST(FloodGuard, HoldsForThreeSecondsAfterTheFlood) {
  FloodGuard guard(100, 0);
  EXPECT_FALSE(guard.is_flood(303, kSecond));
  EXPECT_TRUE(guard.is_flood(1, kSecond));
  EXPECT_TRUE(guard.is_flood(0, kSecond * 39 / 10));
  EXPECT_FALSE(guard.is_flood(0, kSecond * 5));
}

TEST(FloodGuard, SeesASlowFloodInTenSeconds) {
  FloodGuard guard(100, 0);
  bool is_flood = false;
  for (uint64_t tick = 1; tick <= 100; ++tick) is_flood = guard.is_flood(32, tick * kSecond / 10);
  EXPECT_TRUE(is_flood);
}

TEST(FloodGuard, ForgetsAfterALongPause) {
  FloodGuard guard(100, 0);
  EXPECT_TRUE(guard.is_flood(1'000'000, kSecond));
  EXPECT_FALSE(guard.is_flood(10, 1000 * kSecond));
}

}  // namespace
}  // namespace teal
