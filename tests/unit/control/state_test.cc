// SPDX-License-Identifier: Apache-2.0
#include "control/state.h"

#include <gtest/gtest.h>

#include <sqlite3.h>
#include <sys/stat.h>

#include "tests/unit/control/configs.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

Inventory some_inventory() {
  Inventory inventory;
  inventory.services = {
      {0, "service-a", tcp("198.18.0.10:80"), false, false, Colour::kGreen, Colour::kBlue, 7,
       1'700'000'000'123},
      {5, "service-b", tcp("[fd18::10]:80"), true, true, Colour::kBlue, std::nullopt, 0, 0}};
  inventory.backends = {{0, 0, tcp("198.18.2.11:8080"), false}, {4095, 5, tcp("[fd18:2::11]:8080"), true}};
  inventory.given_generation = 9;
  inventory.published_generation = 7;
  return inventory;
}

void run_sql(const std::string& path, const char* sql, int expected = SQLITE_OK) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), expected) << sqlite3_errmsg(db);
  sqlite3_close(db);
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 0777;
}

TEST(State, IsPrivate) {
  const TempDir dir;
  const auto state = State::open(dir.file("a/state"));
  ASSERT_TRUE(state) << state.error();
  EXPECT_EQ(mode_of(dir.file("a/state")), 0700u);
  EXPECT_EQ(mode_of(dir.file("a/state/teal.db")), 0600u);
  EXPECT_EQ(mode_of(dir.file("a/state/teal.db-wal")), 0600u);
}

TEST(State, KeepsTheInventoryOverARestart) {
  const TempDir dir;
  const Inventory saved = some_inventory();
  ASSERT_TRUE(State::open(dir.path())->save(saved));
  const auto loaded = State::open(dir.path())->load();
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->services, saved.services);
  EXPECT_EQ(loaded->backends, saved.backends);
  EXPECT_EQ(loaded->given_generation, 9u);
  EXPECT_EQ(loaded->published_generation, 7u);
}

TEST(State, RefusesANewerSchema) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path()));
  run_sql(dir.file("teal.db"), "PRAGMA user_version = 2");
  const auto state = State::open(dir.path());
  ASSERT_FALSE(state);
  EXPECT_NE(state.error().find("schema version 2"), std::string::npos) << state.error();
}

TEST(State, RefusesWhatIsNoDatabase) {
  const TempDir dir;
  FILE* file = fopen(dir.file("teal.db").c_str(), "w");
  fputs("this is no database, and longer than a header would have to be: it goes on and on and on and on",
        file);
  fclose(file);
  const auto state = State::open(dir.path());
  ASSERT_FALSE(state);
  EXPECT_NE(state.error().find("not a database"), std::string::npos) << state.error();
}

TEST(State, AnIntentIsOpenUntilItsResult) {
  const TempDir dir;
  auto state = State::open(dir.path());
  ASSERT_TRUE(state->save(some_inventory()));
  const auto intent = state->intend({10, "flip", "[]", "release 42", {1000, "operator"}});
  ASSERT_TRUE(intent) << intent.error();
  state = State::open(dir.path());  // killed in between
  auto open = state->open_intents();
  ASSERT_EQ(open->size(), 1u);
  EXPECT_EQ(open->front().generation, 10u);
  EXPECT_EQ(state->load()->given_generation, 10u);
  EXPECT_EQ(state->load()->published_generation, 7u);
  EXPECT_EQ(state->load()->services[0].flip_generation, 7u) << "an intent changes no target";

  ServiceState changed = some_inventory().services[0];
  changed.active = Colour::kBlue;
  changed.previous = Colour::kGreen;
  changed.flip_generation = 10;
  ASSERT_TRUE(state->finish(open->front().id, Outcome::kDone, 1234, "1 of 1 workers", std::vector{changed}));
  EXPECT_TRUE(state->open_intents()->empty());
  EXPECT_EQ(state->load()->services[0], changed);
  EXPECT_EQ(state->load()->published_generation, 10u);

  const auto history = state->history(10);
  ASSERT_EQ(history->size(), 2u);
  EXPECT_EQ((*history)[0].event, "done");
  EXPECT_EQ((*history)[0].intent, (*history)[1].id);
  EXPECT_EQ((*history)[0].duration_us, 1234);
  EXPECT_EQ((*history)[1].reason, "release 42");
  EXPECT_EQ((*history)[1].user, "operator");
  EXPECT_EQ((*history)[1].uid, 1000u);
}

TEST(State, AnInterruptedIntentChangesNothing) {
  const TempDir dir;
  auto state = State::open(dir.path());
  ASSERT_TRUE(state->save(some_inventory()));
  const auto intent = state->intend({10, "flip", "[]", "", {}});
  ServiceState changed = some_inventory().services[0];
  changed.flip_generation = 10;
  ASSERT_TRUE(state->finish(*intent, Outcome::kInterrupted, 0, "", std::vector{changed}));
  EXPECT_EQ(state->load()->services, some_inventory().services);
  EXPECT_EQ(state->load()->published_generation, 7u);
  EXPECT_EQ(state->load()->given_generation, 10u) << "the generation stays given";
}

TEST(State, AnIntentHasOneResult) {
  const TempDir dir;
  auto state = State::open(dir.path());
  const auto intent = state->intend({1, "flip", "[]", "", {}});
  ASSERT_TRUE(state->finish(*intent, Outcome::kDone, 0, "", {}));
  EXPECT_FALSE(state->finish(*intent, Outcome::kInterrupted, 0, "", {}));
}

TEST(State, TheHistoryIsAppendOnly) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path())->intend({1, "flip", "[]", "", {}}));
  run_sql(dir.file("teal.db"), "DELETE FROM history", SQLITE_CONSTRAINT);
  run_sql(dir.file("teal.db"), "UPDATE history SET reason = 'other'", SQLITE_CONSTRAINT);
}

}  // namespace
}  // namespace teal
