// SPDX-License-Identifier: Apache-2.0
//
// Databases of other releases: older ones are migrated after a copy, and newer ones are used where they allow
// it.
#include "control/state/schema.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "control/state/state.h"
#include "tests/unit/control/state/databases.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

std::string bytes_of(const std::string& path) {
  std::stringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
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

TEST(Schema, AnOlderDatabaseIsCopiedBeforeItIsMigrated) {
  const TempDir dir;
  run_sql(dir.file("teal.db"), kSchema1);
  std::ofstream(dir.file("teal.db.schema1")) << "of a start that was killed";
  ASSERT_TRUE(State::open(dir.path()));
  const TempDir copy;
  std::filesystem::rename(dir.file("teal.db.schema1"), copy.file("teal.db"));
  run_sql(copy.file("teal.db"),
          "CREATE TEMP TABLE t (n CHECK (n = 1)); INSERT INTO t SELECT user_version FROM "
          "pragma_user_version; INSERT INTO t SELECT count(*) = 3 FROM history");
  EXPECT_TRUE(State::open(copy.path())) << "the copy is a whole database";
  ASSERT_TRUE(State::open(dir.path()));
  EXPECT_FALSE(std::filesystem::exists(dir.file("teal.db.schema1"))) << "nothing to migrate, nothing to copy";
}

TEST(Schema, WithoutACopyNothingIsMigrated) {
  const TempDir dir;
  run_sql(dir.file("teal.db"), kSchema1);
  std::filesystem::create_directories(dir.file("teal.db.schema1/x"));
  const auto state = State::open(dir.path());
  ASSERT_FALSE(state);
  EXPECT_NE(state.error().find("not migrated without a copy"), std::string::npos) << state.error();
  run_sql(dir.file("teal.db"),
          "CREATE TEMP TABLE t (n CHECK (n = 1)); INSERT INTO t SELECT user_version FROM "
          "pragma_user_version");
}

// An upgrade while the disk is full: the disk lacks room for the copy.
TEST(Schema, AnOlderDatabaseThatTakesNoWritesIsRead) {
  const TempDir dir;
  run_sql(dir.file("teal.db"), kSchema1);
  const std::string before = bytes_of(dir.file("teal.db"));
  {
    auto state = State::open_to_read(dir.path());
    ASSERT_TRUE(state) << state.error();
    const auto inventory = state->load();
    ASSERT_TRUE(inventory) << inventory.error();
    EXPECT_EQ(inventory->services, some_inventory().services);
    EXPECT_TRUE(state->good_config());
  }
  EXPECT_EQ(bytes_of(dir.file("teal.db")), before);
  EXPECT_FALSE(std::filesystem::exists(dir.file("teal.db.schema1")));
}

TEST(Schema, AnEmptyDatabaseThatTakesNoWritesIsAnError) {
  const TempDir dir;
  std::ofstream(dir.file("teal.db")).flush();
  const auto state = State::open_to_read(dir.path());
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error(), dir.file("teal.db") + ": it is empty");
}

TEST(Schema, ADatabaseThatCanBeMadeAgainIsMigratedWithoutACopy) {
  const TempDir dir;
  run_sql(dir.file("teal.db"), kSchema1);
  ASSERT_TRUE(State::open_expendable(dir.path()));
  EXPECT_FALSE(std::filesystem::exists(dir.file("teal.db.schema1")));
  EXPECT_TRUE(State::open_to_read(dir.path())) << "it has this schema";
}

// A later release has added a column and a table, and says that this one can go on.
TEST(Schema, ANewerDatabaseThatAllowsItIsUsed) {
  const TempDir dir;
  {
    auto state = State::open(dir.path());
    ASSERT_TRUE(state->save(some_inventory()));
  }
  run_sql(dir.file("teal.db"),
          "ALTER TABLE services ADD COLUMN colour_of_cat TEXT NOT NULL DEFAULT 'tabby'; CREATE TABLE cats "
          "(id INTEGER);"
          "ALTER TABLE history ADD COLUMN cat INTEGER; PRAGMA user_version = 9");
  auto state = State::open(dir.path());
  ASSERT_TRUE(state) << state.error();
  expect_same(*state->load(), some_inventory());
  ASSERT_TRUE(state->intend({9, "flip", "[]", "", {}}));
  ASSERT_TRUE(state->save(tended_inventory()));
  state = tl::unexpected<std::string>("closed");
  EXPECT_TRUE(State::open_to_read(dir.path()));
  state = State::open(dir.path());
  expect_same(*state->load(), tended_inventory());
  run_sql(dir.file("teal.db"),
          "CREATE TEMP TABLE t (n CHECK (n = 9)); INSERT INTO t SELECT user_version FROM "
          "pragma_user_version");
  EXPECT_FALSE(std::filesystem::exists(dir.file("teal.db.schema9")));
}

TEST(Schema, ADatabaseThatNeedsANewerTealdIsRefusedWithoutHarm) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path()));
  run_sql(dir.file("teal.db"),
          "PRAGMA user_version = 99; UPDATE meta SET value = 98 WHERE key = 'oldest_reader'");
  const std::string before = bytes_of(dir.file("teal.db"));
  const auto state = State::open(dir.path());
  ASSERT_FALSE(state);
  EXPECT_NE(state.error().find(
                "schema version 99, written by a newer teald, and needs a teald of schema version 98"),
            std::string::npos)
      << state.error();
  EXPECT_NE(state.error().find("install the newer one"), std::string::npos) << state.error();
  EXPECT_FALSE(State::open_to_read(dir.path())) << "nor is it read";
  EXPECT_EQ(bytes_of(dir.file("teal.db")), before);
}

TEST(Schema, ADatabaseThatIsNewerAndSaysNothingIsRefused) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path()));
  run_sql(dir.file("teal.db"), "PRAGMA user_version = 99; DELETE FROM meta WHERE key = 'oldest_reader'");
  EXPECT_FALSE(State::open(dir.path()));
}

}  // namespace
}  // namespace teal
