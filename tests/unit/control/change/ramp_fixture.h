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

  }  // namespace teal
