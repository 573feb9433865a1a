// SPDX-License-Identifier: Apache-2.0
//
// Simulated rollouts of equal colours: how often does the judgement raise an alarm? A rollout has steps of
// 1, 5, 25 and 50 %, of one minute each, then a full flip and a bake of 2 minutes. The counters are polled
// every 250 ms.
//
// TEAL_ROLLOUTS is the number of rollouts of each kind (60 by default; scripts/test --long simulates
// 10,000), and TEAL_SEED is the first seed. The figures are printed.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <utility>

#include <gtest/gtest.h>

#include "tests/unit/control/judge/simulation.h"

namespace teal::judge_simulation {
namespace {

constexpr double kTick = 0.25;
constexpr std::array kShares = {0.01, 0.05, 0.25, 0.50};
constexpr double kStepSeconds = 60, kBefore = 60, kBake = 120;
constexpr double kRampEnds = kBefore + kStepSeconds * kShares.size(), kEnd = kRampEnds + kBake;

// Some seconds in which one signal fails in a part of the flows, in both colours.
struct Outage {
  size_t signal = 0;
  double begins = 0, ends = 0, part = 0;
};

enum class Hostile { kNobody, kSynFlood, kOneClient };

struct World {
  double flows_per_second;
  Rates rates;                // at the start
  Rates drift{1, 1, 1, 1};    // over the whole rollout, as a factor
  double green_is_worse = 1;  // as a factor
  std::vector<Outage> outages;
  bool old_colour_is_checked = true;
  Hostile hostile = Hostile::kNobody;
  double hostile_begins = 0, hostile_ends = 0, hostile_per_second = 0;

  Rates rates_at(double seconds) const {
    Rates now;
    for (size_t signal = 0; signal < kSignals; ++signal)
      now[signal] = rates[signal] * std::pow(drift[signal], seconds / kEnd);
    for (const Outage& outage : outages) {
      if (seconds >= outage.begins && seconds < outage.ends) now[outage.signal] = outage.part;
    }
    return now;
  }
  // Returns the part of flows that fails by an outage.
  double outage_at(double seconds) const {
    for (const Outage& outage : outages) {
      if (seconds >= outage.begins && seconds < outage.ends) return outage.part;
    }
    return 0;
  }
};

World random_world(Random& random) {
  World world;
  world.flows_per_second = random.log_uniform(5, 2000);
  for (size_t signal = 0; signal < kSignals; ++signal)
    world.rates[signal] = kTcpSignals[signal] == Signal::kSlow ? 0.01 : random.log_uniform(1e-5, 2e-2);
  if (random.happens(0.5)) {
    for (double& factor : world.drift) factor = random.log_uniform(1.0 / 3, 3);
  }
  return world;
}

Outage random_outage(Random& random, double from, double to) {
  Outage outage;
  outage.signal = static_cast<size_t>(random.uniform(0, kSignals));
  outage.begins = random.uniform(from, to - 1);
  outage.ends = std::min(to, outage.begins + random.log_uniform(1, 30));
  outage.part = random.uniform(0.05, 0.95);
  return outage;
}

// Whether an alarm was raised, and where.
struct Result {
  bool in_ramp = false, in_bake = false, both_sick = false;
};

class Rollout {
 public:
  Rollout(uint64_t seed, World world)
      : world_(std::move(world)),
        traffic_(seed, kTick, {.reset_mean = 5}),
        ramp_(streams_of(1), Colour::kGreen, static_cast<uint64_t>(kBefore * 1e9)) {}

  Result run() {
    while (traffic_.seconds() < kRampEnds && !result_.in_ramp) tick_of_ramp();
    if (result_.in_ramp) return result_;
    before_.flows_per_second = world_.flows_per_second;
    FlipJudge flip(baselines_of(before_), Colour::kGreen, traffic_.now_ns());
    while (traffic_.seconds() < kEnd && !result_.in_bake) tick_of_bake(flip);
    return result_;
  }

 private:
  std::array<Rates, kColours> rates_now() const {
    std::array<Rates, kColours> rates;
    rates.fill(world_.rates_at(traffic_.seconds()));
    for (double& rate : rates[1]) rate = std::min(0.24, rate * world_.green_is_worse);
    if (world_.green_is_worse == 1) rates[1] = rates[0];
    return rates;
  }

  void tick_of_ramp() {
    const double seconds = traffic_.seconds();
    if (seconds >= kBefore + kStepSeconds * steps_) {
      ramp_.begin_step(kShares[steps_], traffic_.now_ns());
      ++steps_;
    }
    const double share = steps_ == 0 ? 0 : kShares[steps_ - 1];
    // Step 0 is before the ramp.
    const auto begun = traffic_.begin(world_.flows_per_second, share, steps_, rates_now());
    std::vector<Known> known = traffic_.end_tick();
    for (size_t signal = 0; signal < kSignals; ++signal) before_.figures[signal].begun += begun[0];
    for (const Known& failure : known)
      before_.figures[failure.signal].failed += failure.colour == Colour::kBlue;
    if (steps_ == 0) return;
    std::erase_if(known, [](const Known& failure) { return failure.step == 0; });
    for (Known& failure : known) --failure.step;
    add_to(ramp_, steps_ - 1, begun, known, traffic_.now_ns());
    result_.in_ramp = ramp_.verdict().judgement == Judgement::kBad;
  }

  void tick_of_bake(FlipJudge& flip) {
    const double seconds = traffic_.seconds();
    const auto begun = traffic_.begin(world_.flows_per_second, 1, steps_ + 1, rates_now())[1];
    FlipJudge::ByCell extra{};
    if (world_.hostile != Hostile::kNobody && seconds >= world_.hostile_begins &&
        seconds < world_.hostile_ends)
      attack(extra);
    add_to(flip, steps_ + 1, begun, extra, traffic_.end_tick(), traffic_.now_ns());
    Judgement judgement = flip.verdict().judgement;
    const FlipJudge::OldColour old = old_colour(judgement == Judgement::kBad);
    if (judgement == Judgement::kBad) judgement = flip.verdict(old).judgement;
    result_.in_bake = judgement == Judgement::kBad;
    if (judgement != Judgement::kBothSick) return;
    result_.both_sick = true;
    flip.forget(traffic_.now_ns());
  }

  // Four backends of the old colour are checked each second, and at once when the test has an answer. The
  // checks meet the outage as flows do. The colour is sick if two checks of one of the last 5 s failed.
  FlipJudge::OldColour old_colour(bool check_now) {
    if (!world_.old_colour_is_checked) return FlipJudge::OldColour::kNotAsked;
    const double seconds = traffic_.seconds() - kTick;
    if (seconds >= next_check_ || check_now) {
      if (traffic_.random.binomial(4, world_.outage_at(seconds)) >= 2) sick_until_ = seconds + 5;
      next_check_ = seconds + 1;
    }
    return seconds < sick_until_ ? FlipJudge::OldColour::kSick : FlipJudge::OldColour::kGood;
  }

  void attack(FlipJudge::ByCell& extra) {
    const uint64_t flows = traffic_.random.poisson(world_.hostile_per_second * kTick);
    if (world_.hostile == Hostile::kOneClient) {
      extra[3].begun += flows;
      traffic_.begin_green(flows, steps_ + 1, {0, 0.3, 0.4, 0.3}, 3);
      return;
    }
    for (size_t cell = 0; cell < extra.size(); ++cell) extra[cell].begun += (flows + cell) / extra.size();
    traffic_.begin_green(flows, steps_ + 1, {0, 1, 0, 0}, extra.size());
  }

  World world_;
  Traffic traffic_;
  RampJudge ramp_;
  Before before_;
  double next_check_ = 0, sick_until_ = 0;
  uint32_t steps_ = 0;
  Result result_;
};

struct Count {
  uint64_t rollouts = 0, in_ramp = 0, in_bake = 0, both_sick = 0;
  uint64_t alarms() const { return in_ramp + in_bake; }
};

Count simulate(const char* what, const std::function<World(Random&)>& make_world) {
  Count count;
  const uint64_t first = number_from("TEAL_SEED", 1), rollouts = number_from("TEAL_ROLLOUTS", 60);
  for (uint64_t seed = first; seed < first + rollouts; ++seed) {
    Random random(seed * 7919);
    const Result result = Rollout(seed, make_world(random)).run();
    ++count.rollouts;
    count.in_ramp += result.in_ramp;
    count.in_bake += result.in_bake;
    count.both_sick += result.both_sick;
  }
  std::printf("%-64s %6lu rollouts: %4lu alarms in the ramp, %4lu in the bake, %4lu times both sick\n", what,
              count.rollouts, count.in_ramp, count.in_bake, count.both_sick);
  std::fflush(stdout);
  return count;
}

// The bound of issue and documentation: 20 alarms in 10,000 rollouts. Few rollouts must have none.
uint64_t most_alarms(const Count& count) {
  return count.rollouts * 20 / 10'000;
}

TEST(Rollouts, OfEqualColoursRaiseHardlyAnAlarm) {
  const Count count =
      simulate("equal colours, drift in half, a common outage in 30 % of ramps", [](Random& random) {
        World world = random_world(random);
        if (random.happens(0.3)) world.outages.push_back(random_outage(random, 0, kRampEnds));
        return world;
      });
  EXPECT_LE(count.alarms(), most_alarms(count));
}

TEST(Rollouts, WithSeveralCommonOutagesInTheRampRaiseHardlyAnAlarm) {
  const Count count = simulate("equal colours, three common outages in each ramp", [](Random& random) {
    World world = random_world(random);
    for (int outage = 0; outage < 3; ++outage) world.outages.push_back(random_outage(random, 0, kRampEnds));
    return world;
  });
  EXPECT_LE(count.alarms(), most_alarms(count));
}

TEST(Rollouts, OfAGreenThatFailsTwiceAsOftenRaiseHardlyAnAlarm) {
  // The edge of the hypothesis of RampJudge. The bake is left out: FlipJudge has another hypothesis.
  const Count count = simulate("green fails twice as often in the ramp", [](Random& random) {
    World world = random_world(random);
    world.green_is_worse = 2;
    return world;
  });
  EXPECT_LE(count.in_ramp, most_alarms(count));
}

World with_outage_in_bake(Random& random, double part, bool old_colour_is_checked) {
  World world = random_world(random);
  world.outages.push_back(random_outage(random, kRampEnds, kEnd));
  world.outages.back().part = part;
  world.old_colour_is_checked = old_colour_is_checked;
  return world;
}

// Returns whether the ramp of a group raises an alarm. The services have other rates each, but the same
// outages. In half of the groups, green fails twice as often: the edge of the hypothesis.
bool group_raises_alarm(uint64_t seed) {
  Random random(seed * 7919);
  const double green_is_worse = random.happens(0.5) ? 2 : 1;
  std::vector<Outage> outages;
  if (random.happens(0.5)) outages.push_back(random_outage(random, kBefore, kRampEnds));
  std::vector<World> worlds(static_cast<size_t>(random.uniform(2, 7)));
  std::vector<Traffic> traffic;
  for (World& world : worlds) {
    world = random_world(random);
    world.outages = outages;
    world.flows_per_second = std::min(world.flows_per_second, 300.0);
    traffic.emplace_back(seed * 100 + traffic.size(), kTick, Delays{.reset_mean = 5});
  }
  RampJudge test(streams_of(worlds.size()), Colour::kGreen, 0);
  for (uint32_t step = 0; step < kShares.size(); ++step) {
    test.begin_step(kShares[step], traffic[0].now_ns());
    while (traffic[0].seconds() < kStepSeconds * (step + 1)) {
      for (size_t service = 0; service < worlds.size(); ++service) {
        Traffic& of = traffic[service];
        std::array<Rates, kColours> rates;
        rates.fill(worlds[service].rates_at(kBefore + of.seconds()));
        for (double& rate : rates[1]) rate = std::min(0.95, rate * green_is_worse);
        const auto begun = of.begin(worlds[service].flows_per_second, kShares[step], step, rates);
        add_to(test, step, begun, of.end_tick(), of.now_ns(), service);
      }
      if (test.verdict().judgement == Judgement::kBad) return true;
    }
  }
  return false;
}

TEST(Rollouts, OfGroupsRaiseHardlyAnAlarm) {
  Count count;
  const uint64_t first = number_from("TEAL_SEED", 1), rollouts = number_from("TEAL_ROLLOUTS", 60);
  for (uint64_t seed = first; seed < first + rollouts; ++seed) {
    ++count.rollouts;
    count.in_ramp += group_raises_alarm(seed);
  }
  std::printf("ramps of 2 to 6 services, green fails twice as often in half %17lu rollouts: %4lu alarms\n",
              count.rollouts, count.in_ramp);
  EXPECT_LE(count.alarms(), most_alarms(count));
}

// After a full flip, only checks of the old colour tell a common outage from a bad green. These three tests
// show the limits.
TEST(Rollouts, WithAWholeOutageInTheBakeMoveNothingIfTheOldColourIsChecked) {
  const Count count = simulate("an outage of 95 % of flows in the bake, the old colour is checked",
                               [](Random& random) { return with_outage_in_bake(random, 0.95, true); });
  // Some flows of the outage fail more than 30 s later.
  EXPECT_LE(count.in_bake, count.rollouts / 10);
  EXPECT_GT(count.both_sick, count.rollouts / 2);
}

TEST(Rollouts, WithAPartialOutageInTheBakeGoBackAlthoughTheOldColourIsChecked) {
  const Count count = simulate("an outage of 25 % of flows in the bake, the old colour is checked",
                               [](Random& random) { return with_outage_in_bake(random, 0.25, true); });
  EXPECT_GT(count.in_bake, count.rollouts / 10);
}

TEST(Rollouts, WithAnOutageInTheBakeGoBackIfTheOldColourIsNotChecked) {
  const Count count = simulate("an outage of 95 % of flows in the bake, the old colour is not checked",
                               [](Random& random) { return with_outage_in_bake(random, 0.95, false); });
  EXPECT_GT(count.in_bake, count.rollouts / 2);
}

TEST(Rollouts, WithASynFloodAfterTheFlipRaiseNoAlarm) {
  const Count count =
      simulate("a SYN flood of 5 to 1,000 times the traffic, after the flip", [](Random& random) {
        World world = random_world(random);
        world.hostile = Hostile::kSynFlood;
        world.flows_per_second = random.log_uniform(5, 300);  // the flood is what costs time
        world.hostile_begins = kRampEnds + random.uniform(0, 60);
        world.hostile_ends = world.hostile_begins + random.log_uniform(0.5, 10);
        world.hostile_per_second =
            world.flows_per_second * random.log_uniform(5, std::min(1000.0, 2e4 / world.flows_per_second));
        return world;
      });
  EXPECT_LE(count.alarms(), most_alarms(count));
}

TEST(Rollouts, WithOneHostileClientAfterTheFlipRaiseNoAlarm) {
  const Count count =
      simulate("a client whose flows all fail, 0.1 to 10 times the traffic", [](Random& random) {
        World world = random_world(random);
        world.hostile = Hostile::kOneClient;
        world.flows_per_second = random.log_uniform(5, 500);
        world.hostile_begins = kRampEnds + random.uniform(0, 60);
        world.hostile_ends = kEnd;
        world.hostile_per_second = world.flows_per_second * random.log_uniform(0.1, 10);
        return world;
      });
  EXPECT_LE(count.alarms(), most_alarms(count));
}

}  // namespace
}  // namespace teal::judge_simulation
