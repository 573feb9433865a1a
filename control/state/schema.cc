// SPDX-License-Identifier: Apache-2.0
#include "control/state/schema.h"

#include <cstdint>
#include <filesystem>
#include <iterator>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace teal {

namespace {

using Done = tl::expected<void, std::string>;

// Step N makes schema N + 1 out of schema N; a new database takes all steps. A released step is never edited:
// another change of the schema is another step.
//
// A step is additive where it can be: it adds tables, and columns with a default. An older teald then goes on
// with the database, and the rows that it writes get the default. A step that an older teald cannot go on
// with raises "oldest_reader" in the table meta. So does another version of a change's record
// (change_record.h).
constexpr const char* kSchemaSteps[] = {
    R"(
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
INSERT INTO meta VALUES ('given_generation', 0), ('published_generation', 0);
PRAGMA user_version = 1;
)",
    R"(
ALTER TABLE services ADD COLUMN drain_timeout_ms INTEGER;
ALTER TABLE services ADD COLUMN drain_then INTEGER;
CREATE TABLE memberships (
  backend INTEGER NOT NULL REFERENCES backends (id), colour INTEGER NOT NULL, admin INTEGER NOT NULL,
  weight INTEGER, PRIMARY KEY (backend, colour));
CREATE TABLE lock (
  id INTEGER PRIMARY KEY CHECK (id = 0), uid INTEGER NOT NULL, user TEXT NOT NULL, reason TEXT NOT NULL,
  at_ms INTEGER NOT NULL);
CREATE INDEX history_generation ON history (generation) WHERE intent IS NULL;
PRAGMA user_version = 2;
)",
    R"(
ALTER TABLE history ADD COLUMN record TEXT;
PRAGMA user_version = 3;
)",
    // A flip that is in force when the schema is migrated can still be rolled back.
    R"(
ALTER TABLE services ADD COLUMN undo_to INTEGER;
ALTER TABLE services ADD COLUMN undo_generation INTEGER;
ALTER TABLE services ADD COLUMN flipped_by_verb INTEGER;
ALTER TABLE services ADD COLUMN flipped_by_uid INTEGER;
ALTER TABLE services ADD COLUMN added_after INTEGER NOT NULL DEFAULT 0;
UPDATE services SET (flipped_by_verb, flipped_by_uid) =
  (SELECT verb = 'rollback', uid FROM history WHERE intent IS NULL AND generation = flip_generation
   AND verb IN ('flip', 'rollback')) WHERE flip_generation > 0;
UPDATE services SET undo_to = previous, undo_generation = flip_generation WHERE flipped_by_verb = 0;
INSERT INTO meta SELECT 'reserved_generation', value FROM meta WHERE key = 'given_generation';
CREATE TABLE good_config (id INTEGER PRIMARY KEY CHECK (id = 0), text TEXT NOT NULL);
CREATE TABLE actors (intent INTEGER PRIMARY KEY REFERENCES history (id), user TEXT NOT NULL);
PRAGMA user_version = 4;
)",
    // actor: Actor::Kind. A revision is the number of the latest change of an operator. Changes older than
    // history_from, the id of an intent, may be forgotten.
    R"(
ALTER TABLE history ADD COLUMN actor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE history ADD COLUMN revision INTEGER;
ALTER TABLE lock ADD COLUMN by_root INTEGER NOT NULL DEFAULT 0;
DROP TRIGGER history_stays;
UPDATE history SET actor = 2, uid = 0, user = 'teald' WHERE intent IS NULL AND verb IN ('publish', 'reset');
UPDATE history SET revision = generation WHERE intent IS NULL AND actor = 0;
CREATE TRIGGER history_stays BEFORE UPDATE ON history BEGIN
  SELECT RAISE(ABORT, 'the history is append-only'); END;
DELETE FROM actors WHERE intent IN (SELECT id FROM history WHERE actor = 2);
INSERT INTO meta SELECT 'revision', COALESCE(max(i.revision), 0) FROM history AS i JOIN history AS r
  ON r.intent = i.id WHERE r.event IN ('done', 'adoption_timeout');
CREATE TABLE requests (
  id TEXT PRIMARY KEY, intent INTEGER REFERENCES history (id), content INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  answer TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX requests_at ON requests (at_ms);
CREATE INDEX requests_intent ON requests (intent);
INSERT INTO meta VALUES ('history_from', 0);
DROP TRIGGER history_keeps;
CREATE TRIGGER history_keeps BEFORE DELETE ON history
  WHEN COALESCE(OLD.intent, OLD.id) >= (SELECT value FROM meta WHERE key = 'history_from') BEGIN
  SELECT RAISE(ABORT, 'the history is append-only'); END;
PRAGMA user_version = 5;
)",
    R"(
ALTER TABLE services ADD COLUMN ramp TEXT;
PRAGMA user_version = 6;
)",
    // preview: an address. preview_clients: networks, with spaces between them. hooks_until: the id of the
    // latest change whose hooks have run; -1: the config had no hooks.
    R"(
ALTER TABLE services ADD COLUMN preview TEXT;
ALTER TABLE services ADD COLUMN preview_clients TEXT NOT NULL DEFAULT '';
INSERT INTO meta VALUES ('hooks_until', -1);
CREATE TABLE hook_drains (
  change INTEGER NOT NULL, service TEXT NOT NULL, generation INTEGER NOT NULL, input TEXT NOT NULL,
  PRIMARY KEY (change, service)) WITHOUT ROWID;
PRAGMA user_version = 7;
)",
    R"(
INSERT INTO meta VALUES ('oldest_reader', 8);
PRAGMA user_version = 8;
)"};
static_assert(std::size(kSchemaSteps) == kSchema);

struct SchemaOf {
  int64_t version = 0;        // 0: a new database
  int64_t oldest_reader = 0;  // the oldest schema whose teald can use the database
};

tl::expected<SchemaOf, std::string> schema_of(Database& database) {
  return database.attempt("read the schema's version", [](SQLite::Database& sqlite) {
    SchemaOf schema;
    SQLite::Statement version(sqlite, "PRAGMA user_version");
    version.executeStep();
    schema.version = Row(version, "user_version").integer("the schema's version", 0, INT32_MAX);
    schema.oldest_reader = schema.version;
    if (schema.version <= kSchema) return schema;
    SQLite::Statement reader(sqlite, "SELECT key, value FROM meta WHERE key = 'oldest_reader'");
    if (!reader.executeStep()) return schema;
    Row row(reader, "meta");
    row.text("key");
    schema.oldest_reader = row.integer("value", 0, INT32_MAX);
    return schema;
  });
}

Done usable(const Database& database, const SchemaOf& schema) {
  if (schema.version <= kSchema || schema.oldest_reader <= kSchema) return {};
  return tl::unexpected(fmt::format(
      "{}: it has schema version {}, written by a newer teald, and needs a teald of schema version "
      "{} at least; this one has schema version {}: install the newer one, go back to the copy from "
      "before its upgrade ({}.schemaN), or use another --state-dir",
      database.path(), schema.version, schema.oldest_reader, kSchema, database.path()));
}

std::string copy_of(const Database& database, int64_t version) {
  return fmt::format("{}.schema{}", database.path(), version);
}

// The copy of an earlier try is replaced: the database has not changed its schema since.
Done copy_before_migration(const Database& database, int64_t version) {
  const std::string copy = copy_of(database, version);
  const std::string unfinished = copy + ".new";
  const auto failed = [&](const std::string& why) {
    std::error_code ignored;
    std::filesystem::remove(unfinished, ignored);
    return tl::unexpected(fmt::format("the schema is not migrated without a copy: {}", why));
  };
  std::error_code error;
  std::filesystem::remove(unfinished, error);
  const uint64_t bytes = std::filesystem::file_size(database.path(), error);
  const uint64_t room = std::filesystem::space(std::filesystem::path(copy).parent_path(), error).available;
  if (!error && room < bytes)
    return failed(fmt::format("{}: it needs {} bytes, and the disk has room for {}", copy, bytes, room));
  if (Done copied = Database::copy(database.path(), unfinished); !copied) return failed(copied.error());
  std::filesystem::permissions(unfinished, std::filesystem::perms(0600), error);
  if (!error) std::filesystem::rename(unfinished, copy, error);
  if (error) return failed(fmt::format("{}: {}", copy, error.message()));
  if (Done synced = sync_to_disk(std::filesystem::path(copy).parent_path()); !synced)
    return failed(synced.error());
  return {};
}

Done migrate(Database& database, int64_t version) {
  return database.commit("migrate the schema", [&](SQLite::Database& sqlite) {
    for (int64_t step = version; step < kSchema; ++step) sqlite.exec(kSchemaSteps[step]);
  });
}

}  // namespace

Done prepare_schema(Database& database, BeforeMigration before) {
  const auto schema = schema_of(database);
  if (!schema) return tl::unexpected(schema.error());
  if (Done can_use = usable(database, *schema); !can_use) return can_use;
  if (schema->version >= kSchema) return {};
  if (schema->version != 0 && before == BeforeMigration::kCopy)
    if (Done copied = copy_before_migration(database, schema->version); !copied) return copied;
  Done migrated = migrate(database, schema->version);
  if (migrated && schema->version != 0)
    spdlog::info("{} had schema version {} and was migrated to version {}; a copy from before: {}",
                 database.path(), schema->version, kSchema,
                 before == BeforeMigration::kCopy ? copy_of(database, schema->version) : "none");
  return migrated;
}

tl::expected<std::unique_ptr<Database>, std::string> readable(std::unique_ptr<Database> database) {
  const auto schema = schema_of(*database);
  if (!schema) return tl::unexpected(schema.error());
  if (Done can_use = usable(*database, *schema); !can_use) return tl::unexpected(can_use.error());
  if (schema->version >= kSchema) return database;
  if (schema->version == 0) return tl::unexpected(fmt::format("{}: it is empty", database->path()));
  auto copy = Database::in_memory(*database);
  if (!copy) return copy;
  if (Done migrated = migrate(**copy, schema->version); !migrated) return tl::unexpected(migrated.error());
  return copy;
}

}  // namespace teal
