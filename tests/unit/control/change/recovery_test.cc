// SPDX-License-Identifier: Apache-2.0
//
// Recovery after teald was killed at each step of a change. The tests put the database and the segment into
// the state that the kill leaves.
#include "control/change/recovery.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "control/state/reload_ids.h"
#include "control/state/splits.h"
#include "tests/unit/control/bound_by_modes.h"
#include "tests/unit/control/config/configs.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/state/databases.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

class RecoveryTest : public testing::Test {
 protected:
  // A teald that ran, published generation 5 with everything blue, and was killed.
  void SetUp() override {
    dataplane.emplace(dir.path());
    state.emplace(*State::open(dir.file("state")));
    ASSERT_TRUE(publisher.refresh());
    inventory = recovered();
    auto rules = std::make_unique<Ruleset>();
    ASSERT_TRUE(build_ruleset(ruleset_input(inventory, config), *rules));
    ASSERT_TRUE(publisher.publish_all(5, *rules, make_splits(inventory, config, nullptr, 100, 1)));
  }

  void publish_flip(uint64_t generation) {
    const TrafficSplit split{
        Colour::kGreen, Colour::kBlue, 0, static_cast<uint32_t>(generation), 100, 1000, 0};
    ASSERT_TRUE(publisher.publish_splits(generation, std::vector<SplitUpdate>{{0, split}}));
  }

  tl::expected<int64_t, std::string> intend(uint64_t generation, const char* verb, ChangeRecord record) {
    Intent intent{generation, verb, "[]", "", {}};
    intent.record = std::move(record);
    return state->intend(intent);
  }

  Recorder::Stored stored() { return {*state->load(), *state->open_intents(), *state->requests()}; }

  Inventory recovered() {
    auto start = recover(stored(), publisher, config, clock);
    EXPECT_TRUE(start) << start.error();
    EXPECT_TRUE(state->record(start->to_record));
    return start->inventory;
  }

  TempDir dir;
  const Clock clock;
  Config config = shop_config();
  std::optional<FakeDataplane> dataplane;
  std::optional<State> state;
  Publisher publisher{dir.path()};
  Inventory inventory;
};

TEST_F(RecoveryTest, KilledBeforeThePublicationTheIntentIsInterrupted) {
  ASSERT_TRUE(state->intend({6, "flip", "[]", "", {}}));
  const Inventory after = recovered();
  EXPECT_EQ(after.service("service-a")->active, Colour::kBlue);
  EXPECT_EQ(after.given_generation, 6u) << "6 is not given again";
  EXPECT_EQ(after.published_generation, 5u);
  EXPECT_EQ(state->history({.service = {}, .limit = 1, .before = {}})->front().result, "interrupted");
  EXPECT_TRUE(state->open_intents()->empty());
}

// A request is known if its change was made.
TEST_F(RecoveryTest, TheRevisionAndTheRequestsFollowWhatWasPublished) {
  for (const uint64_t generation : {6, 7}) {
    Intent intent{generation, "backend", "[]", "", {}};
    intent.revision = generation;
    intent.request = CarriedOut{std::to_string(generation), 1, "{}"};
    intent.at_ms = clock.wall_ms();
    ASSERT_TRUE(state->intend(intent));
    if (generation == 6) publish_flip(6);
    const auto start = recover(stored(), publisher, config, clock);
    ASSERT_TRUE(start);
    EXPECT_EQ(start->inventory.revision, 6u) << generation;
    EXPECT_EQ(start->requests.size(), 1u) << generation;
    ASSERT_TRUE(state->record(start->to_record));
    EXPECT_EQ(state->load()->revision, 6u) << generation;
    EXPECT_EQ(state->requests()->size(), 1u) << generation;
    EXPECT_FALSE(*state->answer("7"));
  }
}

TEST_F(RecoveryTest, ARollbackThatTheDiskMissedHasARevision) {
  publish_flip(6);
  EXPECT_EQ(recovered().revision, 6u);
  EXPECT_EQ(state->history({.service = {}, .limit = 1, .before = {}})->front().actor.kind,
            Actor::Kind::kTeald);
}

// An abort was published, and neither the database nor a copy has it.
TEST_F(RecoveryTest, AnAbortThatTheDiskMissedIsNoRollback) {
  inventory.services[0].ramp = Ramp{5, {.steps = {500, kShareOne}}, 0, {}};
  ASSERT_TRUE(state->save(inventory));
  const TrafficSplit split{Colour::kBlue, Colour::kBlue, 0, 6, 100, 1000, 0};
  ASSERT_TRUE(publisher.publish_splits(6, std::vector<SplitUpdate>{{0, split}}));
  EXPECT_FALSE(recovered().service("service-a")->ramp);
  const HistoryRow row = state->history({.service = {}, .limit = 1, .before = {}})->front();
  EXPECT_EQ(row.verb, "abort");
  EXPECT_EQ(row.changes, R"([{"service":"service-a","to":"blue"}])") << "blue was active before, too";
}

TEST_F(RecoveryTest, ARampThatWasNotPublishedLeavesTheWayBack) {
  ServiceState& service = inventory.services[0];
  service.undo = Undo{Colour::kGreen, 5};
  ASSERT_TRUE(state->save(inventory));
  ServiceState begun = service;
  begun.undo.reset();
  begun.ramp = Ramp{6, {.steps = {500, kShareOne}}, 0, {}};
  ASSERT_TRUE(intend(6, "ramp", {.services = {record_of(begun)}, .backends = {}}));
  const Inventory after = recovered();
  EXPECT_EQ(after.service("service-a")->undo, service.undo);
  EXPECT_FALSE(after.service("service-a")->ramp);
}

TEST_F(RecoveryTest, AStartWithoutASegmentOrWithANewOnePausesRamps) {
  inventory.services[0].ramp = Ramp{5, {.steps = {500, kShareOne}}, 0, {}};
  ASSERT_TRUE(state->save(inventory));
  const TempDir fresh;
  const FakeDataplane other(fresh.path());
  Publisher nowhere(dir.file("nowhere")), upgraded(fresh.path());
  ASSERT_TRUE(upgraded.refresh());
  for (const Publisher* without : {&nowhere, &upgraded})
    EXPECT_EQ(recover(stored(), *without, config, clock)->inventory.service("service-a")->ramp->paused,
              "teald started without a publication");
}

TEST_F(RecoveryTest, KilledAfterThePublicationTheIntentIsDone) {
  ASSERT_TRUE(state->intend({6, "flip", "[]", "", {}}));
  publish_flip(6);
  const Inventory after = recovered();
  EXPECT_EQ(after.service("service-a")->active, Colour::kGreen);
  EXPECT_EQ(after.service("service-a")->previous, Colour::kBlue);
  EXPECT_EQ(after.service("service-a")->flip_generation, 6u);
  EXPECT_EQ(state->load()->services[0].flip_generation, 6u) << "saved";
  EXPECT_EQ(after.published_generation, 6u);
  EXPECT_EQ(state->history({.service = {}, .limit = 1, .before = {}})->front().result, "done");
}

TEST_F(RecoveryTest, AnOlderIntentThatIsInForceIsDoneToo) {
  ASSERT_TRUE(state->intend({6, "flip", "[]", "", {}}));
  publish_flip(6);
  ASSERT_TRUE(publisher.publish_splits(
      7, std::vector<SplitUpdate>{{1, {Colour::kGreen, Colour::kBlue, 0, 7, 100, 1000, 0}}}));
  const Inventory after = recovered();
  EXPECT_EQ(state->history({.service = {}, .limit = 1, .before = {}})->front().result, "done");
  EXPECT_EQ(after.service("service-a")->flip_generation, 6u);
  EXPECT_EQ(after.service("service-b")->flip_generation, 7u);
}

TEST_F(RecoveryTest, ABackendsNewStateIsAppliedIfItWasPublished) {
  BackendState backend = inventory.backends[1];
  backend.members[0] = {AdminState::kMaint, 7};
  ASSERT_TRUE(intend(6, "backend", recorded({}, {backend})));
  EXPECT_EQ(recovered().backends[1].members[0], Membership()) << "not published";
  ASSERT_TRUE(intend(7, "backend", recorded({}, {backend})));
  publish_flip(7);  // the segment only tells the generation
  const Inventory after = recovered();
  EXPECT_EQ(after.backends[1].members[0], (Membership{AdminState::kMaint, 7}));
  EXPECT_EQ(after.backends[0].members[0], Membership());
  EXPECT_EQ(state->load()->backends[1].members[0].weight, 7u) << "saved";
}

TEST_F(RecoveryTest, ADrainsNewDeadlineIsAppliedIfItWasPublished) {
  publish_flip(6);
  ServiceState service = recovered().services[0];
  service.drain_timeout = std::chrono::milliseconds(2500);
  service.drain_then = DrainConfig::Then::kReset;
  ASSERT_TRUE(intend(7, "drain", recorded({service})));
  publish_flip(7);
  const ServiceState after = *recovered().service("service-a");
  EXPECT_EQ(after.drain_timeout, std::chrono::milliseconds(2500));
  EXPECT_EQ(after.drain_then, DrainConfig::Then::kReset);
}

// The result of generation 6 could not be recorded. The result of 7 brought its values along, or later ones.
TEST_F(RecoveryTest, AnIntentThatIsOlderThanARecordedResultIsNotAppliedAgain) {
  ServiceState service = inventory.services[0];
  service.drain_timeout = std::chrono::seconds(6);
  ASSERT_TRUE(intend(6, "drain", recorded({service})));
  service.drain_timeout = std::chrono::seconds(7);
  const auto later = intend(7, "drain", recorded({service}));
  ASSERT_TRUE(state->finish(*later, Outcome::kDone, kFinishedAtMs, 0, "", recorded({service})));
  publish_flip(7);
  EXPECT_EQ(recovered().service("service-a")->drain_timeout, std::chrono::seconds(7));
}

// Generation 6 was intended and not published, and its failure could not be recorded. Then 7 was published.
TEST_F(RecoveryTest, AFlipThatTheSegmentDoesNotHaveIsNotAppliedFromItsRecord) {
  ServiceState service = inventory.services[1];
  service.active = Colour::kGreen;
  service.previous = Colour::kBlue;
  service.flip_generation = 6;
  ASSERT_TRUE(intend(6, "flip", recorded({service})));
  publish_flip(7);  // of service-a
  EXPECT_EQ(recovered().service("service-b")->active, Colour::kBlue);
}

// Generation 6 could not be published, and that could not be recorded. The word says 7 all the same.
TEST_F(RecoveryTest, ALaterGenerationDoesNotProveThatAnEarlierChangeWasPublished) {
  ServiceState service = inventory.services[0];
  service.drain_timeout = std::chrono::seconds(6);
  ASSERT_TRUE(intend(6, "drain", recorded({service})));
  publish_flip(7);
  EXPECT_FALSE(recovered().service("service-a")->drain_timeout);
  const auto rows = *state->history({.service = {}, .limit = 2, .before = {}});
  EXPECT_EQ(rows[1].result, "interrupted");
  EXPECT_EQ(rows[0].verb, "rollback") << "a flip that was not recorded";
}

TEST_F(RecoveryTest, AnIntentThatIsOlderThanTheLogIsNotKnownToBePublished) {
  ASSERT_TRUE(intend(6, "flip", {}));
  publish_flip(6);
  publish_flip(6 + kPublishedLog);
  publish_flip(7 + kPublishedLog);
  (void)recovered();
  const HistoryRow row = state->history({.service = {}, .limit = 2, .before = {}})->back();
  EXPECT_EQ(row.result, "interrupted");
  EXPECT_EQ(row.detail, "not known whether it was published");
}

// 198.18.2.12 moves from service-a to service-b, so it has a new id. Its old id is retired.
TEST_F(RecoveryTest, AReloadTakesItsIdsAndForgetsStatesOnlyIfItWasPublished) {
  inventory.backends[1].members[0].admin = AdminState::kMaint;
  ASSERT_TRUE(state->save(inventory));
  Config moved = config;
  moved.services[0].pools[0].pop_back();
  moved.services[1].pools[0].push_back({tcp("198.18.2.12:8080"), 1});
  const Inventory planned = renumber(inventory, moved)->inventory;
  const Inventory reserved = with_reserved_ids(inventory, planned);
  ASSERT_TRUE(state->intend({6, "reload", "[]", "", {}, 0, ChangeRecord()}, &reserved));
  const Inventory before = recover(stored(), publisher, config, clock)->inventory;
  for (const BackendState& backend : inventory.backends)
    EXPECT_NE(std::find(before.backends.begin(), before.backends.end(), backend), before.backends.end())
        << to_string(backend.socket);

  auto rules = std::make_unique<Ruleset>();
  ASSERT_TRUE(build_ruleset(ruleset_input(planned, moved), *rules));
  ASSERT_TRUE(publisher.publish_all(6, *rules, make_splits(planned, moved, nullptr, 100, 1)));
  config = moved;
  const Inventory after = recovered();
  EXPECT_EQ(after.backends.size(), planned.backends.size());
  for (const BackendState& backend : planned.backends)
    EXPECT_NE(std::find(after.backends.begin(), after.backends.end(), backend), after.backends.end())
        << to_string(backend.socket) << ": flows hold its id";
}

// A reload gives the preview address of service-a to a new service as its VIP.
TEST_F(RecoveryTest, TheIdsOfAReloadAreReservedWithSocketsOfTheirOwn) {
  inventory.services[0].preview = tcp("198.18.0.110:80");
  ASSERT_TRUE(state->save(inventory));
  Config moved = config;
  moved.services.push_back(moved.services[0]);
  moved.services.back().name = "service-n";
  moved.services.back().vip = tcp("198.18.0.110:80");
  for (auto& pool : moved.services.back().pools) pool = {{tcp("198.18.2.99:8080"), 1}};
  const Inventory planned = renumber(inventory, moved)->inventory;
  const Inventory reserved = with_reserved_ids(inventory, planned);
  ASSERT_TRUE(state->intend({6, "reload", "[]", "", {}, 0, ChangeRecord()}, &reserved));
  ASSERT_TRUE(state->load());
  EXPECT_EQ(state->load()->services[0].preview, inventory.services[0].preview);
}

TEST_F(RecoveryTest, AnOpenIntentOfSchema2IsInterrupted) {
  run_sql(
      dir.file("state/teal.db"),
      "INSERT INTO history (at_ms, generation, event, verb, changes) VALUES (1, 6, 'intended', 'backend', "
      "'[{\"service\":5}]')");
  EXPECT_EQ(recovered().backends[1].members[0], Membership());
  EXPECT_TRUE(state->open_intents()->empty());
}

TEST_F(RecoveryTest, ARecordThatIsDamagedRefusesTheStart) {
  run_sql(dir.file("state/teal.db"),
          "INSERT INTO history (at_ms, generation, event, verb, changes, record) VALUES (1, 6, 'intended', "
          "'drain', '[]', '{\"version\":5}')");
  const auto refused = state->open_intents();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("record: version is 5"), std::string::npos) << refused.error();
}

// Without a segment, only the reserve knows the numbers of changes that were not recorded.
TEST_F(RecoveryTest, AGenerationThatWasNotRecordedIsNotGivenAgain) {
  publish_flip(9);  // a rollback whose record failed
  dataplane.reset();
  Publisher nowhere(dir.file("elsewhere"));
  EXPECT_GT(recover(stored(), nowhere, config, clock)->inventory.given_generation, 9u);
  ASSERT_TRUE(state->release_reserve());
  EXPECT_EQ(recover(stored(), nowhere, config, clock)->inventory.given_generation,
            state->load()->given_generation)
      << "after a stop in order, no number is left out";
}

TEST_F(RecoveryTest, ARefusedSegmentIsNotAnAbsentOne) {
  ASSERT_TRUE(intend(6, "flip", {}));
  std::filesystem::create_directories(dir.file("other"));
  std::ofstream(dir.file("other/segment")) << "not a segment";
  Publisher refusing(dir.file("other"));
  ASSERT_FALSE(refusing.refresh());
  config.services.erase(config.services.begin());
  config.groups.clear();
  const Recovered start = recover(stored(), refusing, config, clock).value();
  EXPECT_TRUE(start.inventory.has_retired()) << "flows may hold them";
  EXPECT_TRUE(start.to_record.empty()) << "the intent may be in force";
}

// A dataplane uses the segment, and teald cannot. The file in force has no service-a any more.
class RefusedRecovery : public RecoveryTest {
 protected:
  void expect_nothing_is_given_up(const std::string& why) {
    ASSERT_TRUE(intend(6, "flip", {}));
    inventory.services[1].ramp = Ramp{5, {.steps = {500, kShareOne}}, 0, {}};
    ASSERT_TRUE(state->save(inventory));
    config.services.erase(config.services.begin());
    config.groups.clear();
    Publisher refusing(dir.path());
    const auto refresh = refusing.refresh();
    ASSERT_FALSE(refresh);
    EXPECT_NE(refresh.error().find(why), std::string::npos) << refresh.error();
    const Recovered start = recover(stored(), refusing, config, clock).value();
    EXPECT_TRUE(start.inventory.has_retired()) << "flows may hold them";
    EXPECT_TRUE(start.to_record.empty()) << "the intent may be in force";
    EXPECT_FALSE(start.inventory.service("service-b")->ramp->paused) << "it goes on with the segment";
  }
};

TEST_F(RefusedRecovery, OfAnotherAbiGivesNothingUp) {
  dataplane->segment().header().abi += 1;
  expect_nothing_is_given_up("ABI");
}

TEST_F(RefusedRecovery, OfASegmentThatTealdMayNotOpenGivesNothingUp) {
  const BoundByModes bound;
  ASSERT_EQ(chmod(dir.file("segment.tmpfs").c_str(), 0000), 0);
  expect_nothing_is_given_up("Permission denied");
}

// A flip is recorded before it is published, so it is a rollback, and it leaves nothing to undo.
TEST_F(RecoveryTest, ARollbackThatTheDiskMissedIsLearntFromTheSegment) {
  inventory.services[0].undo = Undo{Colour::kGreen, 4};
  inventory.services[0].flipped_by = FlippedBy{FlipVerb::kFlip, 1000};
  ASSERT_TRUE(state->save(inventory));
  publish_flip(6);  // nothing was recorded
  const ServiceState after = *recovered().service("service-a");
  EXPECT_EQ(after.active, Colour::kGreen);
  EXPECT_FALSE(after.undo);
  EXPECT_FALSE(after.flipped_by);
}

TEST_F(RecoveryTest, AFlipWhoseResultIsMissingCanBeRolledBack) {
  ServiceState service = inventory.services[0];
  service.active = Colour::kGreen;
  service.flip_generation = 6;
  service.undo = Undo{Colour::kBlue, 6};
  service.flipped_by = FlippedBy{FlipVerb::kFlip, 1000};
  ASSERT_TRUE(intend(6, "flip", recorded({service})));
  publish_flip(6);
  const ServiceState after = *recovered().service("service-a");
  EXPECT_EQ(after.undo, service.undo);
  EXPECT_EQ(after.flipped_by, service.flipped_by);
  EXPECT_EQ(state->load()->services[0].undo, service.undo) << "saved";
}

TEST_F(RecoveryTest, ALostDatabaseTakesTheIdsFromTheSegment) {
  publish_flip(6);
  state.emplace(*State::open(dir.file("another")));
  std::reverse(config.services.begin(), config.services.end());
  const Inventory after = recovered();
  for (const ServiceState& service : inventory.services)
    EXPECT_EQ(after.service(service.name)->id, service.id);
  for (const BackendState& backend : inventory.backends)
    EXPECT_EQ(std::ranges::count(after.backends, backend), 1) << to_string(backend.socket);
  EXPECT_EQ(after.service("service-a")->active, Colour::kGreen);
  EXPECT_EQ(after.given_generation, 6u);
}

TEST_F(RecoveryTest, WithoutASegmentNothingHoldsRetiredIds) {
  config.services.erase(config.services.begin());
  config.groups.clear();
  EXPECT_TRUE(recovered().has_retired());
  Publisher nowhere(dir.file("elsewhere"));
  EXPECT_FALSE(recover(stored(), nowhere, config, clock)->inventory.has_retired());
}

}  // namespace
}  // namespace teal
