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
  // Steps of 10 % and 100 % in the config, and what else its rollout has: ", every = \"5s\"".
  void give_steps_to_service_a(const std::string& more = "") {
    const std::string green = "green = [\"198.18.2.21:8080\"]\n";
    write_with(green, green + "rollout = { steps = [\"10%\", \"100%\"]" + more + " }\n");
    ASSERT_TRUE(reload());
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

// The same with flows that a test counts.
class JudgingTest : public RampTest {
 protected:
  // Counts new flows, in each client cell alike. `refused` is the number of refusals among these flows.
  void count(Colour colour, uint64_t begun, uint64_t refused = 0, uint16_t id = 0) {
    for (TrialCounts& cell : teald->counted[id][static_cast<size_t>(colour)]) {
      cell.begun += begun / FlipJudge::kClientCells;
      cell.refused += refused / FlipJudge::kClientCells;
    }
  }
  void judge() {
    teald->upkeep.look_at_rollouts();
    teald->run(teald->upkeep.judge());
  }
  // 5 minutes of good flows on blue, of each of these services.
  void serve_good_flows(std::initializer_list<uint16_t> ids) {
    for (int i = 0; i < 300; ++i) {
      for (const uint16_t id : ids) count(kBlue, 80, 0, id);
      clock.advance(std::chrono::seconds(1));
      judge();
    }
  }
  void flip_after_good_flows() {
    serve_good_flows({0});
    ASSERT_TRUE(flip("service-a", kGreen));
    judge();
    take_events();
  }
  // Green gets 80 flows each 100 ms, and refuses `refused` flows.
  void green_serves(std::chrono::milliseconds time, uint64_t refused) {
    for (std::chrono::milliseconds i{0}; i < time; i += std::chrono::milliseconds(100)) {
      count(kGreen, 80, refused);
      clock.advance(std::chrono::milliseconds(100));
      judge();
    }
  }
  void write_rules(const std::string& rules) { write_with("on_few = \"go\"", "on_few = \"go\"\n" + rules); }
  Colour active(const std::string& name = "service-a") { return service(name).active; }
};

}  // namespace teal
