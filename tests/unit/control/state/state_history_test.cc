// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include <SQLiteCpp/SQLiteCpp.h>

#include "control/state/state.h"
#include "tests/unit/control/state/databases.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

std::vector<uint64_t> generations(const tl::expected<std::vector<HistoryRow>, std::string>& rows) {
  EXPECT_TRUE(rows) << rows.error();
  std::vector<uint64_t> generations;
  if (rows)
    for (const HistoryRow& row : *rows) generations.push_back(row.generation);
  return generations;
}

std::string flip_of(const std::string& service) {
  return R"([{"service":")" + service + R"(","from":"blue","to":"green"}])";
}

class History : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(state_) << state_.error();
    ASSERT_TRUE(state_->save(some_inventory()));
  }
  int64_t intend(uint64_t generation, const std::string& verb = "flip", const std::string& changes = "[]") {
    const auto id = state_->intend({generation, verb, changes, "", {}});
    EXPECT_TRUE(id) << id.error();
    return id.value_or(0);
  }
  void record(uint64_t generation, const std::string& verb = "flip", Outcome outcome = Outcome::kDone,
              const std::string& changes = "[]") {
    EXPECT_TRUE(state_->finish(intend(generation, verb, changes), outcome, kFinishedAtMs, 5, "", {}));
  }
  tl::expected<int64_t, std::string> intend_lock(uint64_t generation, const std::string& verb,
                                                 std::optional<ChangeLock> lock) {
    Intent intent{generation, verb, "[]", lock ? lock->reason : "", {1000, "operator"}};
    intent.lock = LockChange{std::move(lock)};
    return state_->intend(intent);
  }
  void restart() { state_ = State::open(dir_.path()); }

  const TempDir dir_;
  tl::expected<State, std::string> state_ = State::open(dir_.path());
};

TEST_F(History, AnIntentIsOpenUntilItsResult) {
  const std::string changes = flip_of("service-a");
  ASSERT_TRUE(state_->intend({10, "flip", changes, "release 42", {1000, "operator"}, 1'700'000'001'000}));
  restart();  // killed in between
  auto open = state_->open_intents();
  ASSERT_EQ(open->size(), 1u);
  EXPECT_EQ(open->front().generation, 10u);
  EXPECT_EQ(open->front().verb, "flip");
  EXPECT_EQ(open->front().changes, changes);
  EXPECT_EQ(state_->load()->given_generation, 10u);
  EXPECT_EQ(state_->load()->published_generation, 7u);
  EXPECT_EQ(state_->load()->services[0].flip_generation, 7u) << "an intent changes no traffic split";
  EXPECT_EQ(state_->history({})->front().result, "pending");
  EXPECT_EQ(state_->history({})->front().finished_at_ms, 0);

  ServiceState changed = some_inventory().services[0];
  changed.active = Colour::kBlue;
  changed.previous = Colour::kGreen;
  changed.flip_generation = 10;
  ASSERT_TRUE(state_->finish(open->front().id, Outcome::kDone, kFinishedAtMs, 1234, "1 of 1 workers",
                             recorded({changed})));
  EXPECT_TRUE(state_->open_intents()->empty());
  EXPECT_EQ(state_->load()->services[0], changed);
  EXPECT_EQ(state_->load()->published_generation, 10u);

  const auto history = state_->history({});
  ASSERT_EQ(history->size(), 1u) << "a change and its result are one row";
  const HistoryRow& row = history->front();
  EXPECT_EQ(row.id, open->front().id);
  EXPECT_EQ(row.generation, 10u);
  EXPECT_EQ(row.verb, "flip");
  EXPECT_EQ(row.changes, changes);
  EXPECT_EQ(row.reason, "release 42");
  EXPECT_EQ(row.actor.user, "operator");
  EXPECT_EQ(row.actor.uid, 1000u);
  EXPECT_EQ(row.result, "done");
  EXPECT_EQ(row.duration_us, 1234);
  EXPECT_EQ(row.detail, "1 of 1 workers");
  EXPECT_EQ(row.at_ms, 1'700'000'001'000);
  EXPECT_EQ(row.finished_at_ms, kFinishedAtMs);
}

TEST_F(History, AnInterruptedIntentChangesNothing) {
  ServiceState changed = some_inventory().services[0];
  changed.flip_generation = 10;
  BackendState backend = some_inventory().backends[0];
  backend.members[0].admin = AdminState::kMaint;
  ASSERT_TRUE(state_->finish(intend(10), Outcome::kInterrupted, kFinishedAtMs, 0, "",
                             recorded({changed}, {backend})));
  EXPECT_EQ(state_->load()->services, some_inventory().services);
  EXPECT_EQ(state_->load()->backends, some_inventory().backends);
  EXPECT_EQ(state_->load()->published_generation, 7u);
  EXPECT_EQ(state_->load()->given_generation, 10u) << "the generation stays given";
}

TEST_F(History, AResultKeepsDrainsAndMemberships) {
  ServiceState service = some_inventory().services[0];
  service.drain_timeout = std::chrono::minutes(2);
  service.drain_then = DrainConfig::Then::kReset;
  BackendState backend = some_inventory().backends[0];
  backend.members[1] = {AdminState::kDrain, 7};
  ASSERT_TRUE(
      state_->finish(intend(10), Outcome::kDone, kFinishedAtMs, 0, "", recorded({service}, {backend})));
  EXPECT_EQ(state_->load()->services[0], service);
  EXPECT_EQ(state_->load()->backends[0], backend);

  backend.members[1] = {};
  service.drain_timeout.reset();
  service.drain_then.reset();
  ASSERT_TRUE(state_->finish(intend(11), Outcome::kAdoptionTimeout, kFinishedAtMs, 0, "",
                             recorded({service}, {backend})));
  EXPECT_EQ(state_->load()->services[0], service);
  EXPECT_EQ(state_->load()->backends[0], backend);
}

TEST_F(History, AnIntentHasOneResult) {
  const int64_t intent = intend(10);
  ASSERT_TRUE(state_->finish(intent, Outcome::kDone, kFinishedAtMs, 0, "", {}));
  EXPECT_FALSE(state_->finish(intent, Outcome::kInterrupted, kFinishedAtMs, 0, "", {}));
  const auto none = state_->finish(99, Outcome::kDone, kFinishedAtMs, 0, "", {});
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().find("there is no intent 99"), std::string::npos) << none.error();
}

TEST_F(History, IsAppendOnly) {
  intend(10);
  run_sql(dir_.file("teal.db"), "DELETE FROM history", SQLITE_CONSTRAINT);
  run_sql(dir_.file("teal.db"), "UPDATE history SET reason = 'other'", SQLITE_CONSTRAINT);
}

TEST_F(History, AReloadSavesItsInventoryWithItsIntent) {
  Inventory whole = some_inventory();
  whole.services[0].name = "service-z";
  whole.backends[0].members[0].weight = 3;
  const auto intent = state_->intend({10, "reload", "[]", "", {}}, &whole);
  ASSERT_TRUE(intent) << intent.error();
  restart();
  EXPECT_EQ(state_->load()->services, whole.services);
  EXPECT_EQ(state_->load()->backends, whole.backends);
  EXPECT_EQ(state_->open_intents()->size(), 1u);
}

// All or nothing: the second service has the id of the first.
TEST_F(History, AReloadThatCannotBeSavedIsNotIntended) {
  Inventory whole = some_inventory();
  whole.services[1].id = whole.services[0].id;
  EXPECT_FALSE(state_->intend({10, "reload", "[]", "", {}}, &whole));
  EXPECT_EQ(state_->load()->services, some_inventory().services);
  EXPECT_TRUE(state_->open_intents()->empty());
  EXPECT_EQ(state_->load()->given_generation, 9u);
}

TEST_F(History, ALockIsKeptUntilItIsTakenOff) {
  const ChangeLock lock{1000, "operator", "frozen", 1'700'000'000'000};
  ASSERT_TRUE(intend_lock(7, "lock", lock));
  restart();
  EXPECT_EQ(state_->load()->lock, lock);
  EXPECT_EQ(state_->history({})->front().verb, "lock");
  EXPECT_EQ(state_->history({})->front().result, "done");
  EXPECT_EQ(state_->load()->given_generation, 9u);
  EXPECT_EQ(state_->load()->published_generation, 7u);
  ASSERT_TRUE(intend_lock(7, "unlock", std::nullopt));
  EXPECT_EQ(state_->load()->lock, std::nullopt);
  EXPECT_TRUE(state_->open_intents()->empty());
  EXPECT_EQ(state_->history({})->size(), 2u);
}

TEST_F(History, ALockIsDoneWhenItIsCommitted) {
  ASSERT_TRUE(intend_lock(7, "lock", ChangeLock{1000, "operator", "frozen", 1}));
  EXPECT_TRUE(state_->open_intents()->empty());
}

TEST_F(History, AnOpenIntentHasTheRecordOfWhatItSets) {
  ServiceState service = some_inventory().services[0];
  service.drain_timeout = std::chrono::minutes(2);
  service.drain_then = DrainConfig::Then::kReset;
  BackendState backend = some_inventory().backends[0];
  backend.members = {Membership{AdminState::kMaint, 0}, Membership{AdminState::kReady, 1000}};
  Intent intent{10, "drain", "[]", "", {}};
  intent.record = recorded({service}, {backend});
  ASSERT_TRUE(state_->intend(intent));
  restart();
  EXPECT_EQ(state_->open_intents()->front().record, intent.record);
  Inventory inventory = some_inventory();
  apply(*state_->open_intents()->front().record, inventory);
  EXPECT_EQ(inventory.services[0], service);
  EXPECT_EQ(inventory.backends[0], backend);
}

TEST_F(History, IsReadInPagesNewestFirst) {
  for (uint64_t generation = 10; generation < 17; ++generation) record(generation);
  EXPECT_EQ(generations(state_->history({.limit = 3})), (std::vector<uint64_t>{16, 15, 14}));
  const int64_t last = state_->history({.limit = 3})->back().id;
  EXPECT_EQ(generations(state_->history({.limit = 3, .before = last})), (std::vector<uint64_t>{13, 12, 11}));
  EXPECT_EQ(generations(state_->history({.before = 1})), std::vector<uint64_t>{});
  EXPECT_EQ(generations(state_->history({.limit = 0})), std::vector<uint64_t>{});
  EXPECT_EQ(state_->history({})->size(), 7u);
}

TEST_F(History, FindsTheChangesOfAService) {
  record(10, "flip", Outcome::kDone, flip_of("web"));
  record(11, "flip", Outcome::kDone, flip_of("web-2"));
  record(12, "flip", Outcome::kDone, R"([{"service":"web-2"},{"service":"web","to":"blue"}])");
  record(13, "reload", Outcome::kDone, R"([{"kind":"group","detail":"web"}])");
  record(14, "reload", Outcome::kDone, R"({"added":[{"kind":"backend","service":"web"}]})");
  EXPECT_EQ(generations(state_->history({.service = "web"})), (std::vector<uint64_t>{14, 12, 10}));
  EXPECT_EQ(generations(state_->history({.service = "web-2"})), (std::vector<uint64_t>{12, 11}));
  EXPECT_EQ(generations(state_->history({.service = "we"})), std::vector<uint64_t>{});
  EXPECT_EQ(generations(state_->history({.service = "' OR 1; --"})), std::vector<uint64_t>{});
  EXPECT_EQ(generations(state_->history({.service = "web", .limit = 1})), std::vector<uint64_t>{14});
}

TEST_F(History, TellsWhatWasPublishedSinceAGeneration) {
  record(10);
  record(11, "rollback", Outcome::kAdoptionTimeout);
  record(12, "flip", Outcome::kInterrupted);
  record(13, "flip", Outcome::kNotPublished);
  record(14, "reload");
  record(15, "backend");
  ASSERT_TRUE(intend_lock(15, "lock", ChangeLock{}));
  record(16);
  intend(17);
  EXPECT_EQ(generations(state_->published_since(9)), (std::vector<uint64_t>{16, 11, 10}));
  EXPECT_EQ(generations(state_->published_since(11)), std::vector<uint64_t>{16});
  EXPECT_EQ(generations(state_->published_since(16)), std::vector<uint64_t>{});
  EXPECT_EQ(generations(state_->published_since(UINT64_MAX)), std::vector<uint64_t>{});
}

TEST_F(History, KnowsGenerationsThatWerePublished) {
  record(10);
  record(11, "drain", Outcome::kAdoptionTimeout);
  record(12, "flip", Outcome::kInterrupted);
  intend(13);
  ASSERT_TRUE(intend_lock(7, "lock", ChangeLock{}));
  for (const uint64_t generation : {10, 11}) EXPECT_TRUE(*state_->knows_generation(generation)) << generation;
  for (const uint64_t generation :
       {uint64_t{0}, uint64_t{7}, uint64_t{9}, uint64_t{12}, uint64_t{13}, UINT64_MAX})
    EXPECT_FALSE(*state_->knows_generation(generation)) << generation;
}

TEST_F(History, TellsWhenAGenerationWasSuperseded) {
  record(10);
  record(11, "flip", Outcome::kInterrupted);
  EXPECT_EQ(*state_->superseded_at_ms(10), std::nullopt) << "what was not published supersedes nothing";
  ASSERT_TRUE(intend_lock(12, "lock", ChangeLock{}));
  EXPECT_EQ(*state_->superseded_at_ms(10), std::nullopt) << "a lock is no publication";
  const int64_t intent = intend(13, "reload");
  EXPECT_EQ(*state_->superseded_at_ms(10), std::nullopt) << "workers may still go by the one before";
  ASSERT_TRUE(state_->finish(intent, Outcome::kDone, kFinishedAtMs, 0, "", {}));
  const int64_t finished_at_ms = state_->history({})->front().finished_at_ms;
  record(14);
  EXPECT_EQ(*state_->superseded_at_ms(10), finished_at_ms);
  EXPECT_EQ(*state_->superseded_at_ms(12), finished_at_ms);
  EXPECT_EQ(*state_->superseded_at_ms(14), std::nullopt);
  EXPECT_EQ(*state_->superseded_at_ms(UINT64_MAX), std::nullopt);
}

double ms_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

TEST_F(History, StaysFastOverTheYears) {
  constexpr int kChanges = 100'000;
  run_sql(
      dir_.file("teal.db"),
      "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) "
      "INSERT INTO history (id, intent, at_ms, generation, event, verb, changes, reason, user) "
      "SELECT 2 * i + 1, NULL, 1700000000000 + i, i + 10, 'intended', 'flip', "
      "'[{\"service\":\"service-' || (i % 50) || '\",\"from\":\"blue\",\"to\":\"green\"}]', 'release ' || i, "
      "'operator' FROM n UNION ALL "
      "SELECT 2 * i + 2, 2 * i + 1, 1700000000001 + i, i + 10, 'done', 'flip', '', '', '' FROM n ORDER BY 1");
  const double open_ms = ms_of([&] { restart(); });
  ASSERT_TRUE(state_) << state_.error();
  const double intents_ms = ms_of([&] { EXPECT_TRUE(state_->open_intents()->empty()); });
  const double latest_ms = ms_of([&] { EXPECT_EQ(state_->history({})->size(), 50u); });
  const double service_ms = ms_of([&] { EXPECT_EQ(state_->history({.service = "service-7"})->size(), 50u); });
  const double none_ms = ms_of([&] { EXPECT_TRUE(state_->history({.service = "service-x"})->empty()); });
  const double since_ms = ms_of([&] { EXPECT_EQ(state_->published_since(kChanges)->size(), 9u); });
  const double born_ms = ms_of([&] { EXPECT_EQ(*state_->superseded_at_ms(999), 1'700'000'000'991); });
  std::printf(
      "100,000 changes: open and check %.0f ms, open intents %.0f ms, history %.2f ms, of a service %.1f ms, "
      "of "
      "no service %.0f ms, published since %.2f ms, superseded %.2f ms\n",
      open_ms, intents_ms, latest_ms, service_ms, none_ms, since_ms, born_ms);
  EXPECT_LT(open_ms, 10'000);  // far above what it takes: a sanitizer build on a busy machine passes
  EXPECT_LT(latest_ms, 1'000);
  EXPECT_LT(born_ms, 1'000);
}

class Retention : public History {
 protected:
  static constexpr int64_t kDay = int64_t{24} * 3600 * 1000;
  static constexpr int64_t kNow = 2'000'000'000'000;

  void record_at(uint64_t generation, int64_t at_ms, bool with_result = true) {
    Intent intent{generation, "flip", "[]", "", {}};
    intent.at_ms = at_ms;
    const auto id = state_->intend(intent);
    ASSERT_TRUE(id) << id.error();
    ASSERT_TRUE(!with_result || state_->finish(*id, Outcome::kDone, at_ms + 5, 5, "", {}));
  }
  std::vector<uint64_t> kept() {
    return generations(state_->history({.service = {}, .limit = 100, .before = {}}));
  }
};

TEST_F(Retention, ForgetsWhatIsOlderThan400DaysButKeepsTheLatest) {
  for (uint64_t generation = 1; generation <= 6; ++generation)
    record_at(generation, kNow - static_cast<int64_t>(500 - 40 * generation) * kDay);  // 460 to 260 days old
  ASSERT_TRUE(state_->forget_old(kNow, {.least = 1, .most = 100}));
  EXPECT_EQ(kept(), (std::vector<uint64_t>{6, 5, 4, 3}));
  EXPECT_FALSE(*state_->knows_generation(2));
  ASSERT_TRUE(state_->forget_old(kNow + 1000 * kDay, {.least = 3, .most = 100}));
  EXPECT_EQ(kept(), (std::vector<uint64_t>{6, 5, 4, 3})) << "nothing is young: the clock may be wrong";
  record_at(7, kNow + 1000 * kDay);
  ASSERT_TRUE(state_->forget_old(kNow + 1000 * kDay, {.least = 3, .most = 100}));
  EXPECT_EQ(kept(), (std::vector<uint64_t>{7, 6, 5}));
}

TEST_F(Retention, KeepsAtMostSoManyChanges) {
  for (uint64_t generation = 1; generation <= 6; ++generation) record_at(generation, kNow);
  ASSERT_TRUE(state_->forget_old(kNow, {.least = 1, .most = 4}));
  EXPECT_EQ(kept(), (std::vector<uint64_t>{6, 5, 4, 3}));
}

TEST_F(Retention, KeepsAChangeWithoutAResultAndWhatCameLater) {
  record_at(1, kNow - 500 * kDay);
  record_at(2, kNow - 500 * kDay, false);
  for (uint64_t generation = 3; generation <= 6; ++generation) record_at(generation, kNow - 450 * kDay);
  record_at(7, kNow);
  ASSERT_TRUE(state_->forget_old(kNow, {.least = 1, .most = 100}));
  EXPECT_EQ(kept(), (std::vector<uint64_t>{7, 6, 5, 4, 3, 2}));
  EXPECT_EQ(state_->open_intents()->size(), 1u);
}

TEST_F(Retention, EverythingElseStaysAppendOnly) {
  record_at(1, kNow);
  record_at(2, kNow);
  ASSERT_TRUE(state_->forget_old(kNow, {.least = 1, .most = 1}));
  EXPECT_EQ(kept(), std::vector<uint64_t>{2});
  SQLite::Database sqlite(dir_.file("teal.db"), SQLite::OPEN_READWRITE);
  EXPECT_THROW(sqlite.exec("DELETE FROM history"), SQLite::Exception);
}

TEST_F(History, ABackupIsACopyOfOneMomentBesideARunningTeald) {
  record(10);
  const std::string file = dir_.file("copy/teal.db");
  EXPECT_FALSE(State::back_up(dir_.path(), file)) << "its directory does not exist";
  std::filesystem::create_directories(dir_.file("copy"));
  const auto copied = State::back_up(dir_.path(), file);
  ASSERT_TRUE(copied) << copied.error();
  record(11);
  auto copy = State::open(dir_.file("copy"));
  ASSERT_TRUE(copy) << copy.error();
  EXPECT_EQ(generations(copy->history({.service = {}, .limit = 9, .before = {}})), std::vector<uint64_t>{10});
  EXPECT_EQ(copy->load()->services.size(), some_inventory().services.size());
  const auto again = State::back_up(dir_.path(), file);
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().find("the copy must be a new file"), std::string::npos) << again.error();
}

}  // namespace
}  // namespace teal
