// SPDX-License-Identifier: Apache-2.0
#include "control/judge/ramp_judge.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

#include "tests/unit/control/judge/simulation.h"

namespace teal::judge_simulation {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
const std::vector<Stream> kOneStream = {{0, Signal::kReset}};

RampJudge::ByColour counted(Figures blue, Figures green) {
  return {blue, green};
}

TEST(RampJudgement, NothingKnownIsNotBad) {
  const RampJudge test(kOneStream, Colour::kGreen, 0);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
  EXPECT_NEAR(test.verdict().log_value, 0, 1e-12);
}

TEST(RampJudgement, AGreenThatFailsAloneIsBad) {
  RampJudge test(kOneStream, Colour::kGreen, 0);
  test.begin_step(0.25, 0);
  test.add(0, 0, counted({300, 0}, {100, 20}), kSecond);
  const Verdict verdict = test.verdict();
  EXPECT_EQ(verdict.judgement, Judgement::kBad);
  EXPECT_EQ(verdict.of_tested, (Figures{100, 20}));
  EXPECT_EQ(verdict.of_other, (Figures{300, 0}));
}

// A step of 5 % of ten services: 2,000 flows of blue and 100 of green each, and so many are reset.
RampJudge ten_services(uint64_t blue, const std::function<uint64_t(size_t)>& green) {
  std::vector<Stream> streams;
  for (uint16_t service = 0; service < 10; ++service) streams.push_back({service, Signal::kReset});
  RampJudge test(streams, Colour::kGreen, 0);
  test.begin_step(0.05, 0);
  for (size_t service = 0; service < 10; ++service)
    test.add(service, 0, counted({2000, blue}, {100, green(service)}), kSecond);
  return test;
}

TEST(RampJudgement, FailuresThatAreFewInEachServiceAreFoundTogether) {
  const Verdict verdict = ten_services(0, [](size_t service) { return service < 6 ? 1 : 0; }).verdict();
  EXPECT_EQ(verdict.judgement, Judgement::kBad);
  EXPECT_EQ(verdict.services, 10u);
  EXPECT_EQ(verdict.of_tested, (Figures{1000, 6}));
  EXPECT_EQ(verdict.of_other, (Figures{20'000, 0}));
  EXPECT_LT(verdict.worst, 6u);
  EXPECT_EQ(line_of(verdict), "green is bad: 6 of 1,000 reset in 10 services, at least 0.2 % (blue 0.0 %)");
}

TEST(RampJudgement, OneBadServiceOfManyHasItsOwnFigures) {
  const Verdict verdict = ten_services(2, [](size_t service) { return service == 7 ? 20 : 0; }).verdict();
  EXPECT_EQ(verdict.judgement, Judgement::kBad);
  EXPECT_EQ(verdict.worst, 7u);
  EXPECT_EQ(verdict.services, 1u);
  EXPECT_EQ(verdict.of_tested, (Figures{100, 20}));
}

TEST(RampJudgement, EitherColourMayBeTheTestedOne) {
  RampJudge test(kOneStream, Colour::kBlue, 0);
  test.begin_step(0.25, 0);
  test.add(0, 0, counted({100, 20}, {300, 0}), kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kBad);
  EXPECT_EQ(test.verdict().of_tested, (Figures{100, 20}));
}

TEST(RampJudgement, ABetterGreenIsNeverBad) {
  RampJudge test(kOneStream, Colour::kGreen, 0);
  test.begin_step(0.5, 0);
  for (uint64_t second = 1; second <= 3600; ++second)
    test.add(0, 0, counted({250, 50}, {250, 1}), second * kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
  EXPECT_GT(test.verdict().log_value, -20) << "what is not invested is never lost";
}

TEST(RampJudgement, ADifferenceOfLessThanHalfAPointIsNotBad) {
  RampJudge test(kOneStream, Colour::kGreen, 0);
  test.begin_step(0.5, 0);
  test.add(0, 0, counted({100'000, 10}, {100'000, 500}), kSecond);
  EXPECT_GT(test.verdict().log_value, 100);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
  test.add(0, 0, counted({0, 0}, {0, 11}), kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kBad);
}

TEST(RampJudgement, TheDifferenceIsTakenOverTheLastMinuteAtMost) {
  RampJudge test(kOneStream, Colour::kGreen, 0);
  test.begin_step(0.5, 0);
  test.add(0, 0, counted({1'000'000, 0}, {1'000'000, 0}), kSecond);
  test.add(0, 0, counted({1000, 0}, {1000, 100}), 20 * kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
  test.add(0, 0, counted({1000, 0}, {1000, 100}), 65 * kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kBad);
}

TEST(RampJudgement, ALateFailureIsJudgedByTheShareOfItsBirth) {
  // At 1 %, ten green failures of twenty are far too many. At 50 % they are what is expected.
  for (const bool is_late : {true, false}) {
    RampJudge test(kOneStream, Colour::kGreen, 0);
    const uint32_t first = test.begin_step(0.01, 0);
    test.add(0, first, counted({990, 0}, {10, 0}), kSecond);
    const uint32_t second = test.begin_step(0.5, 60 * kSecond);
    test.add(0, is_late ? first : second, counted({0, 10}, {0, 10}), 61 * kSecond);
    if (is_late)
      EXPECT_GT(test.verdict().log_value, 5);
    else
      EXPECT_LT(test.verdict().log_value, 0);
  }
}

TEST(RampJudgement, AnUnknownStepNeverAddsEvidence) {
  Random random(1);
  for (int run = 0; run < 1000; ++run) {
    RampJudge known(kOneStream, Colour::kGreen, 0), unknown(kOneStream, Colour::kGreen, 0);
    std::vector<double> shares;
    for (int step = 0; step < 3; ++step) {
      shares.push_back(random.log_uniform(0.001, 0.99));
      known.begin_step(shares.back(), 0);
      unknown.begin_step(shares.back(), 0);
    }
    const RampJudge::ByColour failures = {Figures{0, random.poisson(2)}, Figures{0, random.poisson(2)}};
    known.add(0, static_cast<uint32_t>(run % 3), failures, kSecond);
    unknown.add(0, RampJudge::kUnknownStep, failures, kSecond);
    EXPECT_LE(unknown.verdict().log_value, known.verdict().log_value + 1e-12);
  }
}

TEST(RampJudgement, SharesOfNothingAndOfAllCompareNothing) {
  RampJudge test(kOneStream, Colour::kGreen, 0);
  for (const double share : {0.0, 1.0}) {
    const uint32_t step = test.begin_step(share, 0);
    test.add(0, step, counted({100, 0}, {100, 100}), kSecond);
    EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
    EXPECT_NEAR(test.verdict().log_value, 0, 1e-12);
  }
}

TEST(RampJudgement, OutcomesBeforeTheFirstStepAreIgnored) {
  RampJudge test(kOneStream, Colour::kGreen, 0);
  test.add(0, 0, counted({100, 0}, {100, 100}), kSecond);
  test.add(0, RampJudge::kUnknownStep, counted({100, 0}, {100, 100}), kSecond);
  EXPECT_NEAR(test.verdict().log_value, 0, 1e-12);
}

TEST(RampJudgement, AGreenThatBecomesBadAfterADayIsFound) {
  RampJudge test(kOneStream, Colour::kGreen, 0);
  test.begin_step(0.5, 0);
  constexpr uint64_t kDay = 24 * 3600;
  for (uint64_t second = 1; second <= kDay; second += 10)
    test.add(0, 0, counted({2500, 25}, {2500, 25}), second * kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
  uint64_t second = kDay;
  while (test.verdict().judgement != Judgement::kBad && second < kDay + 120)
    test.add(0, 0, counted({250, 2}, {250, 50}), ++second * kSecond);
  EXPECT_LE(second, kDay + 10);
}

TEST(RampJudgement, ALongPauseIsOneInvestment) {
  RampJudge in_steps(kOneStream, Colour::kGreen, 0), at_once(kOneStream, Colour::kGreen, 0);
  for (RampJudge* test : {&in_steps, &at_once}) test->begin_step(0.1, 0);
  for (uint64_t second = 0; second <= 1'000'000; second += 10) in_steps.add(0, 0, {}, second * kSecond);
  for (RampJudge* test : {&in_steps, &at_once})
    test->add(0, 0, counted({900, 1}, {100, 3}), 1'000'000 * kSecond);
  EXPECT_NEAR(in_steps.verdict().log_value, at_once.verdict().log_value, 1e-9);
}

TEST(RampJudgement, AClockThatGoesBackChangesNothing) {
  RampJudge test(kOneStream, Colour::kGreen, 100 * kSecond);
  test.begin_step(0.5, 200 * kSecond);
  test.add(0, 0, counted({50, 1}, {50, 5}), 150 * kSecond);
  test.add(0, 0, counted({50, 0}, {50, 0}), 0);
  EXPECT_EQ(test.verdict().of_tested, (Figures{100, 5}));
}

TEST(RampJudgement, OneBadServiceOfManyIsNamed) {
  const std::vector<Stream> streams = streams_of(1000);
  RampJudge test(streams, Colour::kGreen, 0);
  test.begin_step(0.5, 0);
  for (size_t stream = 0; stream < streams.size(); ++stream)
    test.add(stream, 0, counted({500, 1}, {500, 1}), kSecond);
  EXPECT_EQ(test.verdict().judgement, Judgement::kNotWorse);
  test.add(2002, 0, counted({80, 0}, {80, 80}), kSecond);
  const Verdict verdict = test.verdict();
  EXPECT_EQ(verdict.judgement, Judgement::kBad);
  EXPECT_EQ(verdict.worst, 2002u);
  EXPECT_EQ(verdict.stream.service, 500);
  EXPECT_EQ(verdict.stream.signal, Signal::kReset);
}

}  // namespace
}  // namespace teal::judge_simulation
