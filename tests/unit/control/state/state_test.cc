// SPDX-License-Identifier: Apache-2.0
#include "control/state/state.h"

#include <gtest/gtest.h>

#include <fstream>

#include <sys/stat.h>

#include "tests/unit/control/state/databases.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

using std::chrono::milliseconds;

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 0777;
}

void expect_same(const Inventory& loaded, const Inventory& saved) {
  EXPECT_EQ(loaded.services, saved.services);
  EXPECT_EQ(loaded.backends, saved.backends);
  EXPECT_EQ(loaded.lock, saved.lock);
  EXPECT_EQ(loaded.given_generation, saved.given_generation);
  EXPECT_EQ(loaded.published_generation, saved.published_generation);
}

// With all that an operator can set.
Inventory tended_inventory() {
  Inventory inventory = some_inventory();
  inventory.services[0].drain_timeout = milliseconds(1500);
  inventory.services[0].drain_then = DrainConfig::Then::kReset;
  inventory.services[1].drain_then = DrainConfig::Then::kWait;
  inventory.services[1].ramp = Ramp{7, {.steps = {100, 2500, kShareOne}}, 1, "a look at the logs"};
  inventory.services[0].preview = tcp("198.18.0.110:80");
  inventory.services[0].preview_clients = {*parse_prefix("198.18.1.0/24"), *parse_prefix("198.18.3.7")};
  inventory.backends[0].members = {Membership{AdminState::kMaint, 0}, Membership{AdminState::kReady, 1000}};
  inventory.backends[1].members[1].admin = AdminState::kDrain;
  inventory.lock = ChangeLock{1000, "operator", "no changes before the match is over", 1'700'000'000'999};
  return inventory;
}

TEST(State, IsPrivate) {
  const TempDir dir;
  const auto state = State::open(dir.file("a/state"));
  ASSERT_TRUE(state) << state.error();
  EXPECT_EQ(mode_of(dir.file("a/state")), 0700u);
  EXPECT_EQ(mode_of(dir.file("a/state/teal.db")), 0600u);
  EXPECT_EQ(mode_of(dir.file("a/state/teal.db-wal")), 0600u);
}

// A reader of the history opens the database a second time, and ends.
TEST(State, ASecondOpeningLeavesTheLocksOfTheFirst) {
  const TempDir dir;
  const auto state = State::open(dir.path());
  ASSERT_TRUE(state);
  struct stat status {};
  ASSERT_EQ(::stat(dir.file("teal.db").c_str(), &status), 0);
  const auto is_locked = [&] {
    std::ifstream locks("/proc/locks");
    const std::string inode = ":" + std::to_string(status.st_ino) + " ";
    for (std::string line; std::getline(locks, line);)
      if (line.find(inode) != std::string::npos) return true;
    return false;
  };
  ASSERT_TRUE(is_locked());
  auto second = State::open(dir.path());
  ASSERT_TRUE(second);
  EXPECT_TRUE(is_locked());
  ASSERT_TRUE(second->history({}));
  EXPECT_TRUE(is_locked());
}

TEST(State, KeepsTheInventoryOverARestart) {
  for (const Inventory& saved : {Inventory{}, some_inventory(), tended_inventory()}) {
    const TempDir dir;
    ASSERT_TRUE(State::open(dir.path())->save(saved));
    const auto loaded = State::open(dir.path())->load();
    ASSERT_TRUE(loaded) << loaded.error();
    expect_same(*loaded, saved);
  }
}

TEST(State, SavesInPlaceOfWhatWasThere) {
  const TempDir dir;
  auto state = State::open(dir.path());
  ASSERT_TRUE(state->save(tended_inventory()));
  Inventory saved = some_inventory();
  saved.services.pop_back();
  saved.backends.pop_back();
  ASSERT_TRUE(state->save(saved));
  expect_same(*state->load(), saved);
}

TEST(State, KeepsMembershipsThatDifferOnly) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path())->save(tended_inventory()));
  run_sql(dir.file("teal.db"), "CREATE TABLE counted AS SELECT count(*) AS n FROM memberships");
  run_sql(dir.file("teal.db"), "CREATE TABLE t (n CHECK (n = 3)); INSERT INTO t SELECT n FROM counted");
}

TEST(State, GenerationsOnlyGrow) {
  const TempDir dir;
  auto state = State::open(dir.path());
  ASSERT_TRUE(state->save(some_inventory()));
  ASSERT_TRUE(state->save(Inventory{}));
  EXPECT_EQ(state->load()->given_generation, 9u);
  EXPECT_EQ(state->load()->published_generation, 7u);
}

// A clock that was set to 1960 or to 12000 must not make a database that is refused at the next start.
TEST(State, LoadsWhatItSavedUnderAnyClock) {
  for (const int64_t at_ms : {INT64_MIN, int64_t{-1}, INT64_MAX}) {
    const TempDir dir;
    Inventory saved = tended_inventory();
    saved.services[0].flipped_at_ms = at_ms;
    saved.services[0].drain_timeout = milliseconds(INT64_MAX);
    saved.lock->at_ms = at_ms;
    ASSERT_TRUE(State::open(dir.path())->save(saved));
    const auto loaded = State::open(dir.path())->load();
    ASSERT_TRUE(loaded) << loaded.error();
    EXPECT_GE(loaded->services[0].flipped_at_ms, 0);
  }
}

// As teald of schema 1 made it, with a flip that is done and one that is open.
constexpr char kSchema1[] = R"(
PRAGMA journal_mode = WAL;
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE services (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, vip TEXT NOT NULL, protocol INTEGER NOT NULL,
  affinity_client INTEGER NOT NULL, retired INTEGER NOT NULL,
  active INTEGER NOT NULL, previous INTEGER, flip_generation INTEGER NOT NULL, flipped_at_ms INTEGER NOT NULL,
  UNIQUE (vip, protocol));
CREATE TABLE backends (
  id INTEGER PRIMARY KEY, service INTEGER NOT NULL REFERENCES services (id), socket TEXT NOT NULL,
  protocol INTEGER NOT NULL, retired INTEGER NOT NULL, UNIQUE (socket, protocol));
CREATE TABLE history (
  id INTEGER PRIMARY KEY AUTOINCREMENT, intent INTEGER REFERENCES history (id), at_ms INTEGER NOT NULL,
  generation INTEGER NOT NULL, event TEXT NOT NULL, verb TEXT NOT NULL DEFAULT '',
  changes TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '', uid INTEGER NOT NULL DEFAULT 0, user TEXT NOT NULL DEFAULT '',
  duration_us INTEGER NOT NULL DEFAULT 0, detail TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX history_result ON history (intent) WHERE intent IS NOT NULL;
CREATE TRIGGER history_keeps BEFORE DELETE ON history BEGIN
  SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER history_stays BEFORE UPDATE ON history BEGIN
  SELECT RAISE(ABORT, 'the history is append-only'); END;
INSERT INTO meta VALUES ('given_generation', 9), ('published_generation', 7);
INSERT INTO services VALUES (0, 'service-a', '198.18.0.10:80', 6, 0, 0, 1, 0, 7, 1700000000123);
INSERT INTO services VALUES (5, 'service-b', '[fd18::10]:80', 6, 1, 1, 0, NULL, 0, 0);
INSERT INTO backends VALUES (0, 0, '198.18.2.11:8080', 6, 0), (4095, 5, '[fd18:2::11]:8080', 6, 1);
INSERT INTO history (at_ms, generation, event, verb, changes, reason, uid, user) VALUES
  (1700000000100, 7, 'intended', 'flip', '[{"service":"service-a","from":"blue","to":"green"}]',
   'release 7', 1000, 'operator');
INSERT INTO history (intent, at_ms, generation, event, verb, duration_us, detail) VALUES
  (1, 1700000000124, 7, 'done', 'flip', 31, '1 of 1 workers');
INSERT INTO history (at_ms, generation, event, verb, changes) VALUES
  (1700000000200, 9, 'intended', 'publish', '[]');
PRAGMA user_version = 1;
)";

// The step to schema 2, as that teald made it, and a change of a backend that it left open.
constexpr char kSchema2[] = R"(
ALTER TABLE services ADD COLUMN drain_timeout_ms INTEGER;
ALTER TABLE services ADD COLUMN drain_then INTEGER;
CREATE TABLE memberships (
  backend INTEGER NOT NULL REFERENCES backends (id), colour INTEGER NOT NULL, admin INTEGER NOT NULL,
  weight INTEGER, PRIMARY KEY (backend, colour));
CREATE TABLE lock (
  id INTEGER PRIMARY KEY CHECK (id = 0), uid INTEGER NOT NULL, user TEXT NOT NULL, reason TEXT NOT NULL,
  at_ms INTEGER NOT NULL);
CREATE INDEX history_generation ON history (generation) WHERE intent IS NULL;
INSERT INTO history (at_ms, generation, event, verb, changes) VALUES
  (1700000000300, 10, 'intended', 'backend',
  '[{"service":"service-a","colour":"blue",
  "address":"198.18.2.11:8080","state":{"from":"ready","to":"maint"}}]');
PRAGMA user_version = 2;
)";

TEST(State, MigratesADatabaseOfSchema1) {
  const TempDir dir;
  run_sql(dir.file("teal.db"), kSchema1);
  auto state = State::open(dir.path());
  ASSERT_TRUE(state) << state.error();
  const auto loaded = state->load();
  ASSERT_TRUE(loaded) << loaded.error();
  expect_same(*loaded, some_inventory());
  const auto history = state->history({});
  ASSERT_TRUE(history) << history.error();
  ASSERT_EQ(history->size(), 2u);
  EXPECT_EQ((*history)[0].result, "pending");
  EXPECT_EQ((*history)[1].result, "done");
  EXPECT_EQ((*history)[1].reason, "release 7");
  EXPECT_EQ((*history)[1].duration_us, 31);
  EXPECT_EQ(text_of((*history)[0].actor), "teald") << "a publication";
  EXPECT_EQ(text_of((*history)[1].actor), "operator");
  EXPECT_EQ((*history)[1].revision, 7u);
  EXPECT_EQ(loaded->revision, 7u) << "the latest change of an operator that was published";
  ASSERT_EQ(state->open_intents()->size(), 1u);

  // It is a database of the present schema like any other.
  ASSERT_TRUE(
      state->finish(state->open_intents()->front().id, Outcome::kInterrupted, kFinishedAtMs, 0, "", {}));
  ASSERT_TRUE(state->save(tended_inventory()));
  state = State::open(dir.path());
  expect_same(*state->load(), tended_inventory());
}

// A database of schema 2 has an open intent without a record. It is kept as it is: recovery reads its
// changes.
TEST(State, MigratesADatabaseOfSchema2) {
  const TempDir dir;
  run_sql(dir.file("teal.db"), kSchema1);
  run_sql(dir.file("teal.db"), kSchema2);
  auto state = State::open(dir.path());
  ASSERT_TRUE(state) << state.error();
  expect_same(*state->load(), some_inventory());
  const auto open = state->open_intents();
  ASSERT_TRUE(open) << open.error();
  ASSERT_EQ(open->size(), 2u);
  EXPECT_FALSE(open->back().record);
  EXPECT_EQ(open->back().verb, "backend");
  ASSERT_TRUE(state->finish(open->back().id, Outcome::kInterrupted, kFinishedAtMs, 0, "", {}));
  ASSERT_TRUE(state->intend({11, "flip", "[]", "", {}}));
  EXPECT_TRUE(state->open_intents()->back().record);
}

TEST(State, KeepsWhatHooksHaveRun) {
  const TempDir dir;
  auto state = State::open(dir.path());
  ASSERT_TRUE(state) << state.error();
  EXPECT_EQ(*state->hook_memory(), HookMemory()) << "no hooks so far";
  const HookMemory memory{.delivered = 41, .drains = {{"web", 40, 7, "{}"}, {"web", 41, 8, "{\"a\":1}"}}};
  ASSERT_TRUE(state->keep(memory));
  state = State::open(dir.path());
  EXPECT_EQ(*state->hook_memory(), memory);
  ASSERT_TRUE(state->keep(HookMemory()));
  EXPECT_EQ(*state->hook_memory(), HookMemory());
  run_sql(dir.file("teal.db"), "INSERT INTO hook_drains VALUES (-7, 'web', 1, '')");
  EXPECT_FALSE(state->hook_memory());
}

TEST(State, FindsTheChangesAfterAnId) {
  const TempDir dir;
  auto state = State::open(dir.path());
  EXPECT_EQ(*state->latest_change(100), 0);
  for (uint64_t generation = 1; generation <= 5; ++generation)
    ASSERT_TRUE(state->intend({generation, "flip", "[]", "", {}}));
  const auto changes = state->changes_after(2, 2);
  ASSERT_TRUE(changes) << changes.error();
  ASSERT_EQ(changes->size(), 2u);
  EXPECT_EQ(changes->front().id, 3);
  EXPECT_EQ(changes->back().id, 4);
  EXPECT_EQ(changes->front().result, "pending");
  EXPECT_EQ(*state->latest_change(3), 3);
  EXPECT_EQ(*state->latest_change(100), 5);
}

TEST(State, HasOneSchemaWhicheverWayItCame) {
  const TempDir old_dir, new_dir;
  run_sql(old_dir.file("teal.db"), kSchema1);
  ASSERT_TRUE(State::open(old_dir.path()));
  ASSERT_TRUE(State::open(new_dir.path()));
  run_sql(old_dir.file("teal.db"),
          "ATTACH '" + new_dir.file("teal.db") +
              "' AS other; CREATE TEMP TABLE t (n CHECK (n = 0)); INSERT INTO t SELECT count(*) FROM "
              "(SELECT name, sql FROM main.sqlite_master EXCEPT SELECT name, sql FROM other.sqlite_master)");
}

TEST(State, RefusesANewerSchema) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path()));
  run_sql(dir.file("teal.db"), "PRAGMA user_version = 99");
  const auto state = State::open(dir.path());
  ASSERT_FALSE(state);
  EXPECT_NE(state.error().find("schema version 99"), std::string::npos) << state.error();
  EXPECT_NE(state.error().find("install the newer one"), std::string::npos) << state.error();
  EXPECT_FALSE(State::open_to_read(dir.path())) << "nor is it read";
}

}  // namespace
}  // namespace teal
