// SPDX-License-Identifier: Apache-2.0
#include "control/state/state.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>

#include <sys/stat.h>

#include <fmt/format.h>

#include "control/state/database.h"
#include "control/state/state_tables.h"

namespace teal {

namespace {

using Done = State::Done;

// Step N makes schema N + 1 out of schema N; a new database takes all steps. A released step is never edited:
// another change of the schema is another step.
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
)"};
static_assert(std::size(kSchemaSteps) == State::kSchema);

tl::expected<int64_t, std::string> schema_of(Database& database) {
  return database.attempt("read the schema's version", [](SQLite::Database& sqlite) {
    SQLite::Statement statement(sqlite, "PRAGMA user_version");
    statement.executeStep();
    return Row(statement, "user_version").integer("the schema's version", 0, INT32_MAX);
  });
}

Done prepare_schema(Database& database) {
  const auto version = schema_of(database);
  if (!version) return tl::unexpected(version.error());
  if (*version > State::kSchema) {
    return tl::unexpected(fmt::format(
        "{}: it has schema version {}, written by a newer teald; this one knows versions up to {}: "
        "install the newer one, or use another --state-dir",
        database.path(), *version, State::kSchema));
  }
  if (*version == State::kSchema) return {};
  return database.commit("migrate the schema", [&](SQLite::Database& sqlite) {
    for (int64_t step = *version; step < State::kSchema; ++step) sqlite.exec(kSchemaSteps[step]);
  });
}

}  // namespace

State::State(std::unique_ptr<Database> db) : db_(std::move(db)) {}
State::State(State&&) noexcept = default;
State& State::operator=(State&&) noexcept = default;
State::~State() = default;

// Only the last directory is 0700: parents may belong to others.
tl::expected<void, std::string> State::make_directory(const std::string& dir) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(dir + "/").parent_path().parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  int failure = error ? error.value() : 0;
  if (failure == 0 && ::mkdir(dir.c_str(), 0700) != 0) {
    struct stat status {};
    failure = errno != EEXIST                                                ? errno
              : ::stat(dir.c_str(), &status) == 0 && S_ISDIR(status.st_mode) ? 0
                                                                             : ENOTDIR;
  }
  if (failure == 0) return {};
  return tl::unexpected(
      fmt::format("{}: cannot make the state directory: {}; make it, with teald's user as its owner, or name "
                  "another with --state-dir",
                  dir, std::strerror(failure)));
}

tl::expected<State, std::string> State::open(const std::string& dir) {
  if (auto made = make_directory(dir); !made) return tl::unexpected(made.error());
  auto database = Database::open(dir + "/teal.db");
  if (!database) return tl::unexpected(database.error());
  if (Done done = prepare_schema(**database); !done) return tl::unexpected(done.error());
  return State(std::move(*database));
}

tl::expected<State, std::string> State::open_to_read(const std::string& dir) {
  auto database = Database::open_to_read(dir + "/teal.db");
  if (!database) return tl::unexpected(database.error());
  const auto version = schema_of(**database);
  if (!version) return tl::unexpected(version.error());
  if (*version != kSchema)
    return tl::unexpected(fmt::format("{}: it has schema version {}, and only version {} can be read",
                                      (*database)->path(), *version, kSchema));
  return State(std::move(*database));
}

State::Done State::back_up(const std::string& dir, const std::string& file) {
  return Database::copy(dir + "/teal.db", file);
}

tl::expected<Inventory, std::string> State::load() {
  return db_->attempt("read the state", read_inventory);
}

tl::expected<std::optional<std::string>, std::string> State::good_config() {
  return db_->attempt("read the config", read_good_config);
}

// A row with its old value would not be written.
State::Done State::probe() {
  return db_->commit("write", [](SQLite::Database& sqlite) {
    sqlite.exec("INSERT INTO meta VALUES ('probes', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1");
  });
}

State::Done State::save(const Inventory& inventory) {
  return db_->commit("save the state", [&](SQLite::Database& sqlite) { write_inventory(sqlite, inventory); });
}

}  // namespace teal
