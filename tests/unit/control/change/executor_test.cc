// SPDX-License-Identifier: Apache-2.0
//
// The one way of every change: its steps, and what happens when a step fails.
#include "control/change/executor.h"

#include <fstream>
#include <map>

#include <unistd.h>

#include "tests/unit/control/change/change_fixture.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

class Executor : public ChangeFixture {
 protected:
  Executor() {
    start_dataplane(2);
    start_teald();
    take_events();
  }

  std::string code(const Result& result) { return result ? "" : std::string(result.error().code); }
  uint64_t published() { return (*dataplane)->generation(); }
  Colour active_in_segment() { return (*dataplane)->splits().services[0].active; }
};

// --- the steps ---

TEST_F(Executor, EveryKindOfChangeTakesTheSameSteps) {
  struct Step {
    const char* verb;
    std::function<Result()> ask;
    const char* events;
  };
  const Step steps[] = {
      {"flip", [&] { return flip("service-a", Colour::kGreen); }, "intended published adopted done"},
      {"rollback", [&] { return rollback("service-a"); }, "published adopted done"},
      {"drain",
       [&] {
         set_flows(2, Colour::kGreen, 1);
         return set_drain(7s, DrainConfig::Then::kReset);
       },
       "intended published adopted done"},
      {"backend", [&] { return set_backend("198.18.2.12:8080", AdminState::kDrain); },
       "intended published adopted done"},
      {"reload",
       [&] {
         write_with("\"198.18.2.11:8080\"", "\"198.18.2.14:8080\"");
         return reload();
       },
       "intended retired reloaded published adopted done"},
      {"lock", [&] { return lock(); }, "locked"},
      {"unlock", [&] { return unlock(); }, "unlocked"},
  };
  for (const Step& step : steps) {
    const uint64_t before = teald->executor.generation();
    const bool publishes = std::string(step.events) != step.verb + std::string("ed");
    const Result result = step.ask();
    ASSERT_TRUE(result) << step.verb << ": " << result.error().message;
    EXPECT_EQ(take_events(), step.events) << step.verb;
    EXPECT_EQ(result->generation, publishes ? before + 1 : before) << step.verb;
    EXPECT_EQ(published(), result->generation) << step.verb;
    EXPECT_EQ(dataplane->acknowledged(), result->generation) << step.verb;
    EXPECT_EQ(latest().verb, step.verb);
    EXPECT_EQ(latest().result, "done");
    EXPECT_TRUE(result->warnings.empty()) << step.verb << ": " << result->warnings.front();
  }
}

TEST_F(Executor, EventsSayWhoAndWhy) {
  for (const auto& change : {std::function<Result(ChangeOptions)>([&](ChangeOptions options) {
                               return flip("service-a", Colour::kGreen, std::move(options));
                             }),
                             std::function<Result(ChangeOptions)>(
                                 [&](ChangeOptions options) { return lock(std::move(options)); })}) {
    ASSERT_TRUE(change({.reason = "release 42"}));
    EXPECT_EQ(told("uid"), "0");
    EXPECT_EQ(told("user"), "\"root\"");
    EXPECT_EQ(told("reason"), "\"release 42\"");
  }
}

TEST_F(Executor, OneEventTellsOfAllBackendsThatAReloadRetires) {
  std::string toml = kShopToml;
  toml.resize(toml.find("[[service]]\nname = \"service-b\""));
  std::ofstream(dir.file("teal.toml")) << toml;
  ASSERT_TRUE(reload());
  EXPECT_EQ(take_events(), "intended retired reloaded published adopted done");
  EXPECT_EQ(told("count"), "4") << "both colours of two services";
  EXPECT_EQ(nlohmann::json::parse(told("backends")).size(), 4u);
  const auto few = counted_list("backends", std::vector<std::string>(200, "x"));
  EXPECT_EQ(few["count"], 200);
  EXPECT_EQ(few["backends"].size(), 16u) << "an event is small";
}

// The file loses 200 services that nobody uses.
TEST_F(Executor, TheRemovalOf200ServicesPushesNoOtherEventOut) {
  std::ofstream(dir.file("teal.toml")) << shop_with_more_services(200);
  ASSERT_TRUE(reload());
  ASSERT_TRUE(flip("service-a", Colour::kGreen, {.reason = "release 42"}));
  const uint64_t flipped = teald->events.latest();
  std::ofstream(dir.file("teal.toml")) << kShopToml;
  ASSERT_TRUE(reload());
  tidy();
  const std::vector<ToldEvent> since = teald->events.after(flipped);
  EXPECT_LE(since.size(), 8u);
  for (const ToldEvent& event : since) EXPECT_LT(event.data.size(), 4096u) << event.type << " " << event.data;
  EXPECT_EQ(nlohmann::json::parse(since.front().data)["count"], 200) << since.front().data;
}

TEST_F(Executor, EachStepIsMadeBeforeItsEvent) {
  std::map<std::string, std::vector<std::string>> seen;
  on_event = [&](const std::string& type) {
    seen[type] = {std::to_string(published()), std::to_string(dataplane->acknowledged()), latest().result,
                  service("service-a").active == Colour::kGreen ? "green" : "blue",
                  teald->state().load()->services[0].active == Colour::kGreen ? "green" : "blue"};
  };
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  using Seen =
      std::vector<std::string>;  // published, acknowledged, in the history, in memory, in the database
  EXPECT_EQ(seen["intended"], (Seen{"1", "1", "pending", "blue", "blue"}));
  EXPECT_EQ(seen["published"], (Seen{"2", "1", "pending", "green", "blue"}));
  EXPECT_EQ(seen["adopted"], (Seen{"2", "2", "pending", "green", "blue"}));
  EXPECT_EQ(seen["done"], (Seen{"2", "2", "done", "green", "green"}));
}

TEST_F(Executor, TheIntentHasARecordOfTheValues) {
  std::optional<ChangeRecord> record;
  on_event = [&](const std::string& type) {
    if (type == "intended") record = teald->state().open_intents()->front().record;
  };
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->services, std::vector<RecordedService>{record_of(service("service-a"))});
}

// --- gates ---

TEST_F(Executor, ADryRunChangesNothing) {
  ChangeOptions options;
  options.dry_run = true;
  const Result result = flip("service-a", Colour::kGreen, options);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->dry_run);
  EXPECT_EQ(result->generation, 1u);
  EXPECT_EQ(result->fields["changed"].size(), 1u);
  EXPECT_EQ(take_events(), "");
  EXPECT_EQ(published(), 1u);
  EXPECT_EQ(latest().verb, "publish");
  EXPECT_TRUE(lock(options));
  EXPECT_FALSE(teald->state().load()->lock);
}

TEST_F(Executor, AnEmptyChangeGetsNoGeneration) {
  const Result result = flip("service-a", Colour::kBlue);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->generation, 1u);
  EXPECT_EQ(take_events(), "");
}

TEST_F(Executor, AnotherGenerationThanExpectedIsAConflict) {
  ChangeOptions options;
  options.if_generation = 7;
  EXPECT_EQ(code(flip("service-a", Colour::kGreen, options)), "conflict");
  EXPECT_EQ(code(lock(options)), "conflict");
  options.if_generation = 1;
  EXPECT_TRUE(flip("service-a", Colour::kGreen, options));
}

TEST_F(Executor, ALockRefusesChangesAndUnlockEndsIt) {
  ChangeOptions options;
  options.reason = "audit";
  options.actor.uid = getuid();
  const Result locked = lock(options);
  ASSERT_TRUE(locked);
  EXPECT_EQ(locked->fields["lock"]["reason"], "audit");
  EXPECT_EQ(teald->state().load()->lock, teald->executor.catalogue().inventory().lock);
  EXPECT_EQ(code(flip("service-a", Colour::kGreen)), "locked");
  EXPECT_EQ(code(lock()), "locked");
  options.dry_run = true;
  EXPECT_EQ(code(flip("service-a", Colour::kGreen, options)), "locked") << "as the change itself";
  EXPECT_TRUE(unlock(options)->warnings.empty()) << "unlock would not be refused";
  ASSERT_TRUE(unlock());
  EXPECT_FALSE(teald->state().load()->lock);
  const Result again = unlock();
  ASSERT_TRUE(again) << "there is nothing to unlock";
  EXPECT_TRUE(again->fields["removed"].is_null());
  EXPECT_TRUE(flip("service-a", Colour::kGreen));
  EXPECT_EQ(take_events(), "locked unlocked intended published adopted done");
}

TEST_F(Executor, AnotherRevisionThanExpectedIsAConflictAndUpkeepRaisesNone) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));  // generation 2
  ChangeOptions options;
  options.if_revision = 2;
  set_flows(0, Colour::kBlue, 2);
  ASSERT_TRUE(set_drain(1s, DrainConfig::Then::kReset, options));  // 3
  clock.advance(2s);
  ASSERT_TRUE(follow());  // 4: the reset
  EXPECT_EQ(latest().verb, "reset");
  EXPECT_EQ(text_of(latest().actor), "teald");
  EXPECT_FALSE(latest().revision);
  EXPECT_EQ(told("user"), "\"teald\"");
  EXPECT_EQ(code(lock(options)), "conflict");
  options.if_revision = 3;
  const Result locked = lock(options);
  ASSERT_TRUE(locked);
  EXPECT_EQ(locked->revision, 5u);
  EXPECT_EQ(locked->generation, 4u);
  options.if_revision = 5;
  EXPECT_TRUE(unlock(options));
}

// --- a disk that fails ---

TEST_F(Executor, WithoutADiskAChangeIsRefusedAndARollbackGoesAhead) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  take_events();
  break_disk();
  EXPECT_EQ(code(flip("service-b", Colour::kGreen)), "storage");
  EXPECT_EQ(code(lock()), "storage");
  EXPECT_FALSE(teald->executor.catalogue().inventory().lock);
  EXPECT_EQ(take_events(), "");
  EXPECT_EQ(published(), 2u);

  const Result back = rollback("service-a");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->warnings.size(), 1u);
  EXPECT_EQ(take_events(), "published adopted done");
  EXPECT_EQ(active_in_segment(), Colour::kBlue);

  repair_disk();
  EXPECT_EQ(teald->state().load()->services[0].active, Colour::kGreen);
  ASSERT_TRUE(flip("service-c", Colour::kGreen));
  EXPECT_EQ(teald->state().load()->services[0].active, Colour::kBlue) << "the next result brings it along";
}

TEST_F(Executor, AResultThatCannotBeRecordedIsBroughtAlongByTheNext) {
  on_event = [&](const std::string& type) {
    if (type == "published") break_disk();
  };
  const Result result = set_backend("198.18.2.12:8080", AdminState::kMaint);
  ASSERT_TRUE(result) << "it is in force";
  EXPECT_EQ(result->warnings.size(), 1u);
  EXPECT_EQ(take_events(), "intended published adopted done");
  on_event = [](const std::string&) {};
  repair_disk();
  EXPECT_EQ(latest().result, "pending");
  EXPECT_EQ(teald->state().load()->backends[1].members[0], Membership());
  ASSERT_TRUE(flip("service-b", Colour::kGreen));
  EXPECT_EQ(teald->state().load()->backends[1].members[0].admin, AdminState::kMaint);

  ASSERT_TRUE(set_backend("198.18.2.12:8080", AdminState::kReady));
  start_teald();
  EXPECT_EQ(teald->state().load()->backends[1].members[0].admin, AdminState::kReady)
      << "the open intent is older than the results";
}

// --- workers that stall ---

TEST_F(Executor, ARepetitionAfterAnAdoptionTimeoutWaitsAgainAndTellsTheTruth) {
  clock.on_sleep = [] {};
  ASSERT_EQ(code(flip("service-a", Colour::kGreen)), "adoption_timeout");
  EXPECT_EQ(code(flip("service-a", Colour::kGreen)), "adoption_timeout")
      << "a worker is still on the old split";
  EXPECT_EQ(dataplane->acknowledged(), 1u);
  clock.on_sleep = [this] { dataplane->step(); };
  const Result again = flip("service-a", Colour::kGreen);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->generation, 2u) << "nothing was published again";
  EXPECT_EQ(dataplane->acknowledged(), 2u);
}

TEST_F(Executor, ARepeatedRequestWaitsForTheWorkersToo) {
  ChangeOptions options;
  options.request = RequestId{"deploy-42", 1};
  clock.on_sleep = [] {};
  ASSERT_EQ(code(flip("service-a", Colour::kGreen, options)), "adoption_timeout");
  const Result still_late = flip("service-a", Colour::kGreen, options);
  ASSERT_EQ(code(still_late), "adoption_timeout");
  EXPECT_NE(still_late.error().hint.find("teal rollback service-a undoes the change"), std::string::npos)
      << still_late.error().hint;
  clock.on_sleep = [this] { dataplane->step(); };
  const Result again = flip("service-a", Colour::kGreen, options);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->first_answer["generation"], 2);
  EXPECT_FALSE(again->first_answer.contains("workers")) << "the first request did not see them adopt it";
  options.request->content = 2;
  EXPECT_EQ(code(flip("service-a", Colour::kGreen, options)), "conflict");
}

TEST_F(Executor, AWorkerThatDoesNotAdoptTimesOutAndTheChangeStands) {
  clock.on_sleep = [] {};
  const Clock::Time began = clock.now();
  const Result result = flip("service-a", Colour::kGreen);
  EXPECT_EQ(code(result), "adoption_timeout");
  EXPECT_GE(clock.now() - began, 2s);
  EXPECT_EQ(take_events(), "intended published failed");
  EXPECT_EQ(told("result"), "\"adoption_timeout\"");
  EXPECT_EQ(active_in_segment(), Colour::kGreen);
  EXPECT_EQ(dataplane->acknowledged(), 1u);
  EXPECT_EQ(latest().result, "adoption_timeout");
  EXPECT_EQ(teald->state().load()->services[0].active, Colour::kGreen);
}

TEST_F(Executor, WithoutAFreeSlotNothingIsChanged) {
  clock.on_sleep = [this] { clock.advance(100ms); };
  Result result = flip("service-a", Colour::kGreen);
  int published_changes = 0;
  while (code(result) == "adoption_timeout" && published_changes < 100) {
    ++published_changes;
    take_events();
    result =
        published_changes % 2 == 0 ? flip("service-a", Colour::kGreen) : flip("service-a", Colour::kBlue);
  }
  EXPECT_EQ(published_changes, 63) << "all slots but the one that the worker reads";
  EXPECT_EQ(code(result), "no_free_slot");
  EXPECT_EQ(take_events(), "intended failed");
  EXPECT_EQ(told("result"), "\"not_published\"");
  EXPECT_EQ(latest().result, "not_published");
  EXPECT_EQ(active_in_segment(), service("service-a").active);
  dataplane->step();
  clock.on_sleep = [this] { dataplane->step(); };
  EXPECT_TRUE(rollback("service-a"));
}

// The intent of a reload saves its ids. If the reload is not published, the old ones are saved again.
TEST_F(Executor, AReloadWithoutAFreeSlotLeavesTheIdsAsTheyWere) {
  clock.on_sleep = [] {};
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(code(set_backend("198.18.2.12:8080", i % 2 == 0 ? AdminState::kDrain : AdminState::kReady)),
              "adoption_timeout");
  write_with("\"198.18.2.12:8080\"", "\"198.18.2.14:8080\"");
  EXPECT_EQ(code(reload()), "no_free_slot");
  EXPECT_NE(teald->state().load()->backends.size(), teald->executor.catalogue().inventory().backends.size());
  dataplane->step();
  tidy();
  EXPECT_EQ(teald->state().load()->backends, teald->executor.catalogue().inventory().backends);
}

// --- without a dataplane ---

TEST_F(Executor, WithoutADataplaneAChangeWaitsForTheNext) {
  dataplane->die();
  const Result result = flip("service-a", Colour::kGreen);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_FALSE(result->dataplane_running);
  EXPECT_EQ(result->warnings.size(), 1u);
  EXPECT_EQ(take_events(), "intended published done") << "nobody has adopted it";
}

}  // namespace
}  // namespace teal
