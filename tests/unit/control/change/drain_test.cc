// SPDX-License-Identifier: Apache-2.0
#include "control/change/drain.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "tests/support/damage.h"
#include "tests/support/rounds.h"
#include "tests/unit/control/config/configs.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/stepped_clock.h"
#include "tests/unit/control/temp_dir.h"

#include "control/change/published_form.h"
#include "control/loop/wall_clock.h"
#include "control/state/splits.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

// service-a was flipped to green under generation 5, `age` ago; its blue backends are 0 and 1.
class DrainTest : public testing::Test {
 protected:
  DrainTest() : dataplane(dir.path()) {
    EXPECT_TRUE(publisher.refresh());
    config.reset_rate = 10;
  }

  void flipped(std::chrono::milliseconds age, DrainConfig::Then then, uint32_t reset_before = 0) {
    config.services[0].drain = {60s, then, DrainConfig::Udp::kStick};
    Inventory inventory = renumber({}, config)->inventory;
    inventory.services[0].active = Colour::kGreen;
    inventory.services[0].previous = Colour::kBlue;
    inventory.services[0].flip_generation = 5;
    const auto age_ticks = static_cast<uint64_t>(age.count() / 10);
    auto rules = std::make_unique<Ruleset>();
    ASSERT_TRUE(build_ruleset(ruleset_input(inventory, config), *rules));
    TrafficSplits splits = make_splits(inventory, config, nullptr, clock.tick(), 0);
    splits.services[0].flipped_at_tick = clock.tick() - age_ticks;
    splits.services[0].reset_before = reset_before;
    ++generation;  // a slot is free after a grace period
    ASSERT_TRUE(FakeDataplane::wait_for([&] { return publisher.publish_all(generation, *rules, splits); }));
    catalogue.emplace(config, inventory);
  }
  void set_flows(uint16_t backend, Colour colour, uint32_t flows) {
    dataplane.segment().worker(0).flows[backend][static_cast<size_t>(colour)].live = flows;
  }
  std::optional<DrainView> view() {
    return drain_of(catalogue->services()[0], *catalogue, publisher, trends, clock);
  }
  Change resets() { return plan_overdue_resets(*catalogue, publisher, clock.tick()); }

  const SteppedClock clock;
  TempDir dir;
  Config config = shop_config();
  FakeDataplane dataplane;
  Publisher publisher{dir.path()};
  std::optional<Catalogue> catalogue;
  DrainTrends trends{dir.path()};
  uint64_t generation = 4;
};

TEST_F(DrainTest, WithoutFlowsOfTheOldColourThereIsNone) {
  flipped(1s, DrainConfig::Then::kWait);
  set_flows(2, Colour::kGreen, 7);
  EXPECT_FALSE(view());
}

TEST_F(DrainTest, ItHasFlowsBackendsAndADeadline) {
  flipped(20s, DrainConfig::Then::kWait);
  set_flows(0, Colour::kBlue, 3);
  set_flows(1, Colour::kBlue, 4);
  const auto drain = view();
  ASSERT_TRUE(drain);
  EXPECT_EQ(drain->colour, Colour::kBlue);
  EXPECT_EQ(drain->flows, 7u);
  EXPECT_EQ(drain->backends, 2u);
  EXPECT_NEAR(drain->seconds_left, 40, 1);
  EXPECT_EQ(drain->state, DrainView::State::kDraining);
  EXPECT_FALSE(drain->estimate_seconds) << "nothing declined yet";
  EXPECT_TRUE(resets().empty());
}

TEST_F(DrainTest, AfterTheDeadlineWaitIsOverdueAndResetResets) {
  flipped(61s, DrainConfig::Then::kWait);
  set_flows(0, Colour::kBlue, 3);
  EXPECT_EQ(view()->state, DrainView::State::kOverdue);
  EXPECT_TRUE(resets().empty()) << "wait never resets";

  flipped(61s, DrainConfig::Then::kReset);
  const Change change = resets();
  ASSERT_EQ(change.services.size(), 1u);
  EXPECT_TRUE(change.is_reset);
  EXPECT_EQ(change.fields["changed"].dump(), R"([{"service":"service-a","colour":"blue","flows":3}])");
  EXPECT_NEAR(view()->estimate_seconds.value(), 0.3, 0.01) << "3 flows at 10 a second";

  flipped(61s, DrainConfig::Then::kReset, 6);
  EXPECT_TRUE(resets().empty()) << "under way already";
  EXPECT_EQ(view()->state, DrainView::State::kResetting);
  set_flows(0, Colour::kBlue, 0);
  flipped(61s, DrainConfig::Then::kReset);
  EXPECT_TRUE(resets().empty()) << "nothing to reset";
}

TEST_F(DrainTest, TheEstimateFollowsTheDecline) {
  flipped(1s, DrainConfig::Then::kWait);
  const DrainTrends::Time begin{};
  for (int second = 0; second <= 10; ++second) {
    set_flows(0, Colour::kBlue, static_cast<uint32_t>(100 - 5 * second));
    trends.sample(*catalogue, publisher, begin + std::chrono::seconds(second));
  }
  EXPECT_NEAR(view()->estimate_seconds.value(), 10, 0.1) << "50 left, 5 a second";
  set_flows(0, Colour::kBlue, 200);
  trends.sample(*catalogue, publisher, begin + 11s);
  EXPECT_FALSE(view()->estimate_seconds) << "more than before: no end in sight";
}

TEST_F(DrainTest, TheLastFlowsEndIsToldOnce) {
  flipped(1s, DrainConfig::Then::kWait);
  set_flows(0, Colour::kBlue, 1);
  trends.sample(*catalogue, publisher, {});
  EXPECT_TRUE(trends.take_ended().empty());
  set_flows(0, Colour::kBlue, 0);
  trends.sample(*catalogue, publisher, {});
  const auto ended = trends.take_ended();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_TRUE(ended[0].is_drained());
  EXPECT_EQ(ended[0].drain.colour, Colour::kBlue);
  trends.sample(*catalogue, publisher, {});
  EXPECT_TRUE(trends.take_ended().empty());
}

TEST_F(DrainTest, ADrainThatEndsWhileTealdIsDownIsToldOnceByTheNext) {
  flipped(1s, DrainConfig::Then::kWait);
  set_flows(0, Colour::kBlue, 1);
  trends.sample(*catalogue, publisher, {});
  set_flows(0, Colour::kBlue, 0);
  DrainTrends next(dir.path());
  next.sample(*catalogue, publisher, {});
  const auto ended = next.take_ended();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_TRUE(ended[0].is_drained());
  EXPECT_EQ(ended[0].drain.flip_generation, 5u);
  EXPECT_EQ(ended[0].drain.colour, Colour::kBlue);
  DrainTrends third(dir.path());
  third.sample(*catalogue, publisher, {});
  EXPECT_TRUE(third.take_ended().empty());
}

TEST_F(DrainTest, ADrainOfBeforeThatGoesOnIsNotTold) {
  flipped(1s, DrainConfig::Then::kWait);
  set_flows(0, Colour::kBlue, 1);
  trends.sample(*catalogue, publisher, {});
  DrainTrends next(dir.path());
  next.sample(*catalogue, publisher, {});
  EXPECT_TRUE(next.take_ended().empty());
}

TEST_F(DrainTest, ADrainOfAServiceThatIsGoneAtTheStartHasEnded) {
  flipped(1s, DrainConfig::Then::kWait);
  std::ofstream(dir.file("drains.json")) << drains_text({{"gone", 3, Colour::kBlue}});
  DrainTrends next(dir.path());
  next.sample(*catalogue, publisher, {});
  const auto ended = next.take_ended();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].drain.service, "gone");
  EXPECT_FALSE(ended[0].flows);
}

// The flip came into force, and the file still has the drain of the flip before it.
TEST_F(DrainTest, AfterAKillInAFlipTheDrainOfBeforeHasEndedAndTheNewOneIsFollowed) {
  flipped(1s, DrainConfig::Then::kWait);
  ServiceState before = catalogue->inventory().services[0];
  before.active = Colour::kBlue;
  before.flip_generation = 4;
  trends.flip({before}, *catalogue, publisher);
  DrainTrends next(dir.path());
  next.sample(*catalogue, publisher, {});
  const auto ended = next.take_ended();
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0].drain.flip_generation, 4u);
  EXPECT_EQ(ended[0].drain.colour, Colour::kGreen);
  EXPECT_EQ(ended[1].drain.flip_generation, 5u);
  EXPECT_EQ(ended[1].drain.colour, Colour::kBlue);
}

TEST_F(DrainTest, WithoutADataplaneThereIsNoEstimate) {
  flipped(61s, DrainConfig::Then::kReset);
  set_flows(0, Colour::kBlue, 3);
  ASSERT_TRUE(view()->estimate_seconds);
  dataplane.die();
  EXPECT_FALSE(view()->estimate_seconds);
}

// --- drains.json ---

const std::string kDrains = drains_text({{"service-a", 5, Colour::kBlue}, {"service-b", 7, Colour::kGreen}});

TEST(DrainsText, ReadsWhatItWrote) {
  const auto read = parse_drains(kDrains);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(drains_text(*read), kDrains);
}

TEST(DrainsText, DamageIsNamed) {
  const auto error = [](const std::string& what, const std::string& by) {
    std::string text = kDrains;
    text.replace(text.find(what), what.size(), by);
    const auto read = parse_drains(text);
    return read ? "" : read.error();
  };
  EXPECT_EQ(error(kDrains, ""), "it is not a JSON object");
  EXPECT_EQ(error("\"version\":1", "\"version\":2"), "it has another version");
  EXPECT_EQ(error("\"drains\"", "\"flows\""), "it lacks a field");
  for (const auto& [what, by] : {std::pair("\"service-a\"", "1"),
                                 {"\"generation\":5", "\"generation\":-5"},
                                 {"\"blue\"", "\"red\""},
                                 {"\"colour\":\"green\"", "\"colours\":2"}})
    EXPECT_EQ(error(what, by), "a drain lacks a field") << by;
}

TEST(DrainsText, RandomChangesNeverThrow) {
  std::mt19937 random(1);
  for (int i = 0; i < test::rounds(20'000); ++i) (void)parse_drains(test::damaged(kDrains, random));
}

TEST_F(DrainTest, ADamagedFileIsNotUsed) {
  flipped(1s, DrainConfig::Then::kWait);
  std::ofstream(dir.file("drains.json")) << kDrains.substr(0, 20);
  DrainTrends next(dir.path());
  next.sample(*catalogue, publisher, {});
  EXPECT_TRUE(next.take_ended().empty());
}

// --- changes of drains ---

class DrainChangeTest : public DrainTest {
 protected:
  DrainChangeTest() {
    flipped(10min, DrainConfig::Then::kWait);  // `flip --wait` has waited that long; the timeout is 60s
    set_flows(0, Colour::kBlue, 5);
  }
  Change plan(std::optional<std::chrono::milliseconds> timeout, std::optional<DrainConfig::Then> then,
              bool from_now = false) {
    DrainRequest request{.what = {{"service-a"}, {}}, .timeout = timeout, .then = then, .from_now = from_now};
    auto change = plan_drain(request, view_of(*catalogue), *catalogue, publisher, clock);
    EXPECT_TRUE(change) << change.error().message;
    return change ? *change : Change();
  }
};

TEST_F(DrainChangeTest, ADeadlineThatIsOverResetsNowAndIsToldSo) {
  const Change change = plan(2min, DrainConfig::Then::kReset);
  const auto& drain = change.fields["drains"][0];
  EXPECT_EQ(drain["seconds_left"], 0.0);
  EXPECT_EQ(drain["resets"], 5);
  EXPECT_EQ(drain["deadline"], rfc3339(clock.wall_ms() - 8 * 60'000));
}

// The README: flip --wait, then drain --timeout 2m --from-now --then reset.
TEST_F(DrainChangeTest, FromNowCountsFromNowAndNotFromTheFlip) {
  const Change change = plan(2min, DrainConfig::Then::kReset, true);
  ASSERT_EQ(change.services.size(), 1u);
  EXPECT_NEAR(static_cast<double>(change.services[0].drain_timeout->count()), 12 * 60'000, 100);
  const auto& drain = change.fields["drains"][0];
  EXPECT_NEAR(drain["seconds_left"].get<double>(), 120, 0.1);
  EXPECT_EQ(drain["deadline"].get<std::string>().substr(0, 16),
            rfc3339(clock.wall_ms() + 120'000).substr(0, 16));
}

TEST_F(DrainChangeTest, AnUnchangedDrainIsToldToo) {
  const Change change = plan(60s, std::nullopt);
  EXPECT_TRUE(change.empty());
  EXPECT_EQ(change.fields["drains"][0]["then"], "wait");
  EXPECT_EQ(change.fields["drains"][0]["resets"], 0) << "wait resets nobody";
}

TEST_F(DrainChangeTest, WhereNothingDrainsNothingIsChanged) {
  set_flows(0, Colour::kBlue, 0);
  const Change change = plan(2min, DrainConfig::Then::kReset);
  EXPECT_TRUE(change.empty());
  EXPECT_EQ(change.fields["nothing_drains"].dump(), R"(["service-a"])");
}

// Promise 8: a drain ends as the operator chose. The next flip forgets what was set for the drain before.
TEST(MakeSplit, AResetStandsWhileTheDeadlineIsOverAndTheDrainIsToReset) {
  ServiceState service{.id = 0, .active = Colour::kGreen, .previous = Colour::kBlue, .flip_generation = 5};
  const DrainConfig reset{1s, DrainConfig::Then::kReset, {}}, wait{1s, DrainConfig::Then::kWait, {}},
      longer{10s, DrainConfig::Then::kReset, {}};
  TrafficSplit present = make_split(service, reset, nullptr, 1000, 0);
  present.flipped_at_tick = 800;
  present.reset_before = 6;
  EXPECT_EQ(make_split(service, reset, &present, 1000, 0).reset_before, 6u);
  EXPECT_EQ(make_split(service, wait, &present, 1000, 0).reset_before, 0u) << "then = wait stops it";
  EXPECT_EQ(make_split(service, longer, &present, 1000, 0).reset_before, 0u) << "a later deadline stops it";
  service.flip_generation = 7;
  EXPECT_EQ(make_split(service, reset, &present, 1000, 0).reset_before, 0u) << "another flip, another drain";
}

// A judgement counts from the flip on, and after that from the ramp on.
TEST(MakeSplit, ATrialBeginsWithTheLaterOfFlipAndRamp) {
  const DrainConfig drain{1s, DrainConfig::Then::kWait, {}};
  ServiceState service{.id = 0, .active = Colour::kGreen};
  EXPECT_EQ(make_split(service, drain, nullptr, 1000, 0).counted_from, 0u);
  service.ramp = Ramp{.id = 3, .plan = {.steps = {100, kShareOne}}};
  EXPECT_EQ(make_split(service, drain, nullptr, 1000, 0).counted_from, 3u) << "a ramp without a flip before";
  service.flip_generation = 5;
  EXPECT_EQ(make_split(service, drain, nullptr, 1000, 0).counted_from, 5u);
  service.ramp->id = 8;
  const TrafficSplit split = make_split(service, drain, nullptr, 1000, 0);
  EXPECT_EQ(split.counted_from, 8u);
  EXPECT_EQ(make_split(service, drain, &split, 1000, 0).counted_from, 8u);
  EXPECT_EQ(split.slow_us, 0u);
}

// Flows of a ramp or a preview are younger than the flip, and of the idle colour, too.
TEST_F(DrainTest, AResetLeavesTheFlowsThatBeganSinceTheFlip) {
  flipped(61s, DrainConfig::Then::kReset);
  set_flows(0, Colour::kBlue, 3);
  Change change = resets();
  ASSERT_EQ(change.services.size(), 1u);
  const auto reset_before = [&] {
    return split_updates(change, *catalogue, publisher.splits(), clock)[0].split.reset_before;
  };
  EXPECT_EQ(reset_before(), 5u);
  change.services[0].ramp = Ramp{.id = 7, .plan = {.steps = {100, kShareOne}}};
  EXPECT_EQ(reset_before(), 5u);
}

TEST_F(DrainTest, ADrainWhoseDeadlineIsOverForMonthsIsOverdue) {
  flipped(std::chrono::hours(24) * 300, DrainConfig::Then::kReset);
  set_flows(0, Colour::kBlue, 3);
  EXPECT_EQ(resets().services.size(), 1u);
}

TEST(MakeSplit, AFlipOfBeforeTheBootIsOver) {
  const ServiceState service{
      .id = 0, .active = Colour::kGreen, .previous = Colour::kBlue, .flip_generation = 5, .flipped_at_ms = 0};
  const DrainConfig drain{60s, DrainConfig::Then::kWait, {}};
  constexpr uint64_t kJustBooted = 100;
  EXPECT_FALSE(is_draining(make_split(service, drain, nullptr, kJustBooted, 3'600'000), kJustBooted));
}

TEST(MakeSplit, AWallClockThatJumpsMovesNoDeadline) {
  ServiceState service{.id = 0, .active = Colour::kGreen, .previous = Colour::kBlue, .flip_generation = 5};
  const DrainConfig drain{60s, DrainConfig::Then::kWait, {}};
  TrafficSplit present = make_split(service, drain, nullptr, 1000, 0);
  present.flipped_at_tick = 800;
  for (const int64_t now_ms : {int64_t{0}, int64_t{1} << 41, int64_t{-5}})
    EXPECT_EQ(make_split(service, drain, &present, 1000, now_ms).flipped_at_tick, 800u) << now_ms;
}

}  // namespace
}  // namespace teal
