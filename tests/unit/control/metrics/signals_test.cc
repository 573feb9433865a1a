// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/signals.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

TEST(SignalSums, AddUpAllWorkersOfABackendAndAColour) {
  TempDir dir;
  Publisher publisher(dir.path());
  EXPECT_EQ(outcomes_of(publisher, 7, Colour::kGreen), Outcomes{}) << "there is no segment";
  FakeDataplane dataplane(dir.path(), 2);
  ASSERT_TRUE(publisher.refresh());
  constexpr auto kGreen = static_cast<size_t>(Colour::kGreen);
  for (const uint32_t worker : {0, 1}) {
    WorkerBlock& block = dataplane.segment().worker(worker);
    BackendSignals& signals = block.signals[7][kGreen];
    uint64_t n = 1 + worker;
    for (Counter* counter :
         {&signals.begun, &signals.answered, &signals.refused, &signals.unanswered, &signals.reset_by_backend,
          &signals.udp_unanswered, &signals.prompt_answers, &signals.slow_answers})
      counter->add(n *= 10);
    block.times[3][kGreen].handshake.count(150);
    block.times[3][kGreen].first_answer.count(40'000'000);
  }
  dataplane.segment().worker(2).signals[7][kGreen].begun.add(1'000);  // no worker of this dataplane

  EXPECT_EQ(outcomes_of(publisher, 7, Colour::kGreen), (Outcomes{.begun = 30,
                                                                 .answered = 300,
                                                                 .refused = 3'000,
                                                                 .unanswered = 30'000,
                                                                 .reset_by_backend = 300'000,
                                                                 .udp_unanswered = 3'000'000,
                                                                 .prompt_answers = 30'000'000,
                                                                 .slow_answers = 300'000'000}));
  EXPECT_EQ(outcomes_of(publisher, 7, Colour::kBlue), Outcomes{});
  EXPECT_EQ(outcomes_of(publisher, 8, Colour::kGreen), Outcomes{});

  const TimesOfColour times = times_of(publisher, 3, Colour::kGreen);
  EXPECT_EQ(times.handshake.count(), 2u);
  EXPECT_EQ(times.handshake.buckets[8], 2u) << "129 to 256 us";
  EXPECT_EQ(Times::bound_us(8), 256u);
  EXPECT_EQ(times.handshake.sum_us, 300u);
  EXPECT_EQ(times.first_answer.buckets[TimeHistogram::kBounds], 2u) << "above all bounds";
  EXPECT_EQ(times_of(publisher, 3, Colour::kBlue).handshake, Times{});
}

TEST(SignalSums, DoNotGoBackAfterARestartWithFewerWorkers) {
  TempDir dir;
  Publisher publisher(dir.path());
  {
    FakeDataplane dataplane(dir.path(), 3);
    for (const uint32_t worker : {0, 1, 2}) dataplane.segment().worker(worker).signals[7][0].begun.add(10);
  }
  FakeDataplane dataplane(dir.path(), 1);
  ASSERT_TRUE(publisher.refresh());
  EXPECT_EQ(outcomes_of(publisher, 7, Colour::kBlue).begun, 30u);
}

}  // namespace
}  // namespace teal
