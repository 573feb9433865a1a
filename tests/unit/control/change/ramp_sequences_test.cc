// SPDX-License-Identifier: Apache-2.0
//
// Random sequences of requests, restarts and time, compared with the plainest version of a ramp.
#include <random>

#include "tests/unit/control/change/ramp_fixture.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

struct PlainRamp {
  Colour active = Colour::kBlue;
  std::optional<Colour> undo;
  int step = -1;  // -1: no ramp
  bool paused = false;
  static constexpr int kSteps = 3;
};

TEST_F(RampTest, RandomSequencesFollowThePlainestVersion) {
  const RolloutRequest::Steps plan{.steps = {500, 2500, kShareOne}, .every = 10s, .manual = {}};
  const uint16_t shares[] = {500, 2500};
  for (uint64_t seed = 1; seed <= 20 && !HasFailure(); ++seed) {
    std::mt19937_64 random(seed);
    (void)roll(Verb::kAbort);
    PlainRamp model{.active = service("service-a").active, .undo = {}};
    if (const auto& undo = service("service-a").undo) model.undo = undo->to;
    std::string trace = "seed " + std::to_string(seed) + ":";
    for (int i = 0; i < 25 && !HasFailure(); ++i) {
      const auto complete = [&] {
        model.undo = model.active;
        model.active = other(model.active);
        model.step = -1;
      };
      const auto advance = [&] {
        model.paused = false;
        if (++model.step == PlainRamp::kSteps - 1) complete();
      };
      switch (random() % 8) {
        case 0: {
          trace += " ramp";
          RolloutRequest request{.verb = Verb::kRamp, .what = {{"service-a"}, {}}, .to = other(model.active)};
          request.ramp = plan;
          EXPECT_EQ(teald->run(teald->verbs.roll(std::move(request), {})).has_value(), model.step < 0);
          if (model.step < 0) model = {.active = model.active, .undo = {}, .step = 0, .paused = false};
          break;
        }
        case 1:
          trace += " next";
          ASSERT_TRUE(roll(Verb::kNext));
          if (model.step >= 0) advance();
          break;
        case 2:
          trace += " abort";
          ASSERT_TRUE(roll(Verb::kAbort));
          model.step = -1;
          break;
        case 3:
          trace += " rollback";
          ASSERT_TRUE(rollback("service-a"));
          if (model.step < 0 && model.undo) model.active = *model.undo;
          if (model.step < 0) model.undo.reset();
          model.step = -1;
          break;
        case 4:
          trace += " pause";
          ASSERT_TRUE(pause("x"));
          model.paused = model.step >= 0;
          break;
        case 5:
          trace += " resume";
          ASSERT_TRUE(resume());
          model.paused = false;
          break;
        case 6:
          trace += " restart";
          start_teald();
          break;
        default:
          trace += " time";
          pass(11s);
          if (model.step >= 0 && !model.paused) advance();
      }
      EXPECT_EQ(split().active, model.active) << trace;
      EXPECT_EQ(share(), model.step < 0 ? 0 : shares[model.step]) << trace;
      EXPECT_EQ(service("service-a").undo.has_value(), model.undo.has_value()) << trace;
    }
  }
}

}  // namespace
}  // namespace teal
