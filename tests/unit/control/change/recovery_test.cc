// SPDX-License-Identifier: Apache-2.0
//
// teald killed at each step of a flip: the database and the segment are put into the state that the kill
// leaves.
#include "control/change/recovery.h"

#include <gtest/gtest.h>

#include "tests/unit/control/config/configs.h"
#include "tests/unit/control/fake_dataplane.h"
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
    inventory = *recover(*state, publisher, config);
    auto rules = std::make_unique<Ruleset>();
    ASSERT_TRUE(build_ruleset(ruleset_input(inventory, config), *rules));
    ASSERT_TRUE(publisher.publish_all(5, *rules, make_splits(inventory, config, nullptr, 100, 1)));
  }

  void publish_flip(uint64_t generation) {
    const TrafficSplit split{
        Colour::kGreen, Colour::kBlue, 0, static_cast<uint32_t>(generation), 100, 1000, 0};
    ASSERT_TRUE(publisher.publish_splits(generation, std::vector<SplitUpdate>{{0, split}}));
  }

  Inventory recovered() {
    auto inventory = recover(*state, publisher, config);
    EXPECT_TRUE(inventory) << inventory.error();
    return *inventory;
  }

  TempDir dir;
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
  const char* changes = R"([{"service":"service-a","colour":"blue","address":"198.18.2.12:8080",
      "state":{"from":"ready","to":"maint"},"weight":{"from":"file","to":7}}])";
  ASSERT_TRUE(state->intend({6, "backend", changes, "", {}}));
  EXPECT_EQ(recovered().backends[1].members[0], Membership()) << "not published";
  ASSERT_TRUE(state->intend({7, "backend", changes, "", {}}));
  publish_flip(7);  // whatever it is that has this generation
  const Inventory after = recovered();
  EXPECT_EQ(after.backends[1].members[0], (Membership{AdminState::kMaint, 7}));
  EXPECT_EQ(after.backends[0].members[0], Membership());
  EXPECT_EQ(state->load()->backends[1].members[0].weight, 7u) << "saved";
}

TEST_F(RecoveryTest, ADrainsNewDeadlineIsAppliedIfItWasPublished) {
  publish_flip(6);
  ASSERT_TRUE(recover(*state, publisher, config));
  ASSERT_TRUE(state->intend(
      {7, "drain", R"([{"service":"service-a","timeout_seconds":2.5,"then":"reset"}])", "", {}}));
  publish_flip(7);
  const ServiceState service = *recovered().service("service-a");
  EXPECT_EQ(service.drain_timeout, std::chrono::milliseconds(2500));
  EXPECT_EQ(service.drain_then, DrainConfig::Then::kReset);
}

TEST_F(RecoveryTest, ARollbackThatTheDiskMissedIsLearntFromTheSegment) {
  publish_flip(6);  // nothing was recorded
  EXPECT_EQ(recovered().service("service-a")->active, Colour::kGreen);
}

TEST_F(RecoveryTest, ALostDatabaseTakesTheIdsFromTheSegment) {
  publish_flip(6);
  state.emplace(*State::open(dir.file("another")));
  std::reverse(config.services.begin(), config.services.end());
  const Inventory after = recovered();
  for (const ServiceState& service : inventory.services)
    EXPECT_EQ(after.service(service.name)->id, service.id);
  for (const BackendState& backend : inventory.backends)
    EXPECT_NE(std::find(after.backends.begin(), after.backends.end(), backend), after.backends.end())
        << to_string(backend.socket);
  EXPECT_EQ(after.service("service-a")->active, Colour::kGreen);
  EXPECT_EQ(after.given_generation, 6u);
}

TEST_F(RecoveryTest, WithoutASegmentNothingHoldsRetiredIds) {
  config.services.erase(config.services.begin());
  config.groups.clear();
  EXPECT_TRUE(recovered().has_retired());
  Publisher nowhere(dir.file("elsewhere"));
  EXPECT_FALSE(recover(*state, nowhere, config)->has_retired());
}

}  // namespace
}  // namespace teal
