// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/change/ramp.h"
#include "tests/unit/control/change/change_fixture.h"

namespace teal {

// A teald with a dataplane, and the requests about ramps of service-a.
class RampTest : public ChangeFixture {
 protected:
  using enum Colour;
  using Verb = RolloutRequest::Verb;

  RampTest() {
    start_dataplane();
    start_teald();
    take_events();
  }

  Result roll(Verb verb, Selection what = {{"service-a"}, {}}, RolloutRequest::Steps plan = {},
              ChangeOptions options = {}) {
    RolloutRequest request{.verb = verb, .what = std::move(what), .to = kGreen};
    request.ramp = std::move(plan);
    return teald->run(teald->verbs.roll(std::move(request), std::move(options)));
  }
  Result ramp(Selection what = {{"service-a"}, {}}) {
    return roll(Verb::kRamp, std::move(what),
                {.steps = {500, 2500, kShareOne}, .every = std::chrono::seconds(10)});
  }
  // Time passes, and upkeep looks ten times a second.
  void pass(std::chrono::seconds time) {
    for (std::chrono::milliseconds i{0}; i < time; i += std::chrono::milliseconds(100)) {
      clock.advance(std::chrono::milliseconds(100));
      ASSERT_TRUE(follow());
    }
  }
  Result pause(const std::string& reason) {
    return teald->run(teald->verbs.pause({{"service-a"}, {}}, {.reason = reason}));
  }
  Result resume() { return teald->run(teald->verbs.resume({{"service-a"}, {}}, {})); }

  const TrafficSplit& split(uint16_t id = 0) { return (*dataplane)->splits().services[id]; }
  uint16_t share(uint16_t id = 0) { return split(id).other_share; }
  std::string changed(const Result& result) { return result->fields["changed"].dump(); }
};

}  // namespace teal
