// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/trials.h"

#include <gtest/gtest.h>

#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

TEST(TrialSums, AddUpAllWorkersOfAServiceAndAColourByCell) {
  TempDir dir;
  Publisher publisher(dir.path());
  EXPECT_EQ(trials_of(publisher, 3, Colour::kGreen), TrialCells{}) << "there is no segment";
  FakeDataplane dataplane(dir.path(), 2);
  ASSERT_TRUE(publisher.refresh());
  constexpr auto kGreen = static_cast<size_t>(Colour::kGreen);
  for (const uint32_t worker : {0, 1}) {
    TrialCounters& trials = dataplane.segment().worker(worker).trials[3][kGreen][5];
    uint64_t n = 1 + worker;
    for (Counter* counter : {&trials.begun, &trials.refused, &trials.unanswered, &trials.reset,
                             &trials.no_reply, &trials.measured, &trials.slow})
      counter->add(n *= 10);
  }
  dataplane.segment().worker(1).trials[3][kGreen][0].begun.add(7);
  dataplane.segment().worker(2).trials[3][kGreen][5].begun.add(1'000);  // no worker of this dataplane

  TrialCells expected{};
  expected[0].begun = 7;
  expected[5] = {.begun = 30,
                 .refused = 300,
                 .unanswered = 3'000,
                 .reset = 30'000,
                 .no_reply = 300'000,
                 .measured = 3'000'000,
                 .slow = 30'000'000};
  EXPECT_EQ(trials_of(publisher, 3, Colour::kGreen), expected);
  EXPECT_EQ(trials_of(publisher, 3, Colour::kBlue), TrialCells{});
  EXPECT_EQ(trials_of(publisher, 2, Colour::kGreen), TrialCells{});
}

}  // namespace
}  // namespace teal
