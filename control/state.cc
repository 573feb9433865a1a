// SPDX-License-Identifier: Apache-2.0
#include "control/state.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <sqlite3.h>

namespace teal {

namespace {

constexpr const char* kSchemaSql = R"(
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE services (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, vip TEXT NOT NULL, protocol INTEGER NOT NULL,
  affinity_client INTEGER NOT NULL, retired INTEGER NOT NULL,
  active INTEGER NOT NULL, previous INTEGER, flip_generation INTEGER NOT NULL, flipped_at_ms INTEGER NOT NULL,
  UNIQUE (vip, protocol));
CREATE TABLE backends (
  id INTEGER PRIMARY KEY, service INTEGER NOT NULL REFERENCES services (id), socket TEXT NOT NULL, protocol INTEGER NOT NULL,
  retired INTEGER NOT NULL, UNIQUE (socket, protocol));
CREATE TABLE history (
  id INTEGER PRIMARY KEY AUTOINCREMENT, intent INTEGER REFERENCES history (id), at_ms INTEGER NOT NULL,
  generation INTEGER NOT NULL, event TEXT NOT NULL, verb TEXT NOT NULL DEFAULT '', changes TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '', uid INTEGER NOT NULL DEFAULT 0, user TEXT NOT NULL DEFAULT '',
  duration_us INTEGER NOT NULL DEFAULT 0, detail TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX history_result ON history (intent) WHERE intent IS NOT NULL;
CREATE TRIGGER history_keeps BEFORE DELETE ON history BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER history_stays BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
INSERT INTO meta VALUES ('given_generation', 0), ('published_generation', 0);
PRAGMA user_version = 1;
)";

int64_t wall_clock_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone:
      return "done";
    case Outcome::kAdoptionTimeout:
      return "adoption_timeout";
    case Outcome::kInterrupted:
      return "interrupted";
    case Outcome::kNotPublished:
      return "not_published";
  }
  return "";
}

// The directory with its parents; only the last is 0700, as parents may belong to others.
tl::expected<void, std::string> make_private_directory(const std::string& dir) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(dir + "/").parent_path().parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST)
    return tl::unexpected(fmt::format("{}: cannot make the state directory: {}", dir, std::strerror(errno)));
  return {};
}

}  // namespace

// A statement, bound in order, then stepped through. Rows are read in order too.
class State::Statement {
 public:
  Statement(sqlite3* db, const char* sql) { code_ = sqlite3_prepare_v2(db, sql, -1, &handle_, nullptr); }
  ~Statement() { sqlite3_finalize(handle_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int64_t value) { return bound(sqlite3_bind_int64(handle_, ++parameter_, value)); }
  Statement& bind(const std::string& value) {
    return bound(sqlite3_bind_text(handle_, ++parameter_, value.data(), static_cast<int>(value.size()),
                                   SQLITE_TRANSIENT));
  }
  Statement& bind_null() { return bound(sqlite3_bind_null(handle_, ++parameter_)); }

  bool row() {  // is there another row?
    column_ = 0;
    if (code_ != SQLITE_OK && code_ != SQLITE_ROW) return false;
    code_ = sqlite3_step(handle_);
    return code_ == SQLITE_ROW;
  }
  bool run() {  // of a statement without rows
    row();
    return complete();
  }
  bool run_again() {  // run, and ready to be bound anew
    const bool ran = run();
    sqlite3_reset(handle_);
    parameter_ = 0;
    code_ = SQLITE_OK;
    return ran;
  }
  bool complete() const { return code_ == SQLITE_DONE; }  // no error ended the rows

  int64_t integer() { return sqlite3_column_int64(handle_, column_++); }
  std::optional<int64_t> integer_or_null() {
    if (sqlite3_column_type(handle_, column_) != SQLITE_NULL) return integer();
    ++column_;
    return std::nullopt;
  }
  std::string text() {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column_));
    const int count = sqlite3_column_bytes(handle_, column_++);
    return bytes == nullptr ? std::string() : std::string(bytes, static_cast<size_t>(count));
  }

 private:
  Statement& bound(int code) {
    if (code_ == SQLITE_OK) code_ = code;
    return *this;
  }

  sqlite3_stmt* handle_ = nullptr;
  int code_ = SQLITE_OK;
  int parameter_ = 0;
  int column_ = 0;
};

// Rolled back unless committed.
class State::Transaction {
 public:
  explicit Transaction(State& state) : state_(state), begun_(state.execute("BEGIN IMMEDIATE")) {}
  ~Transaction() {
    if (begun_ && !committed_) (void)state_.execute("ROLLBACK");
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  const Done& begun() const { return begun_; }
  Done commit() {
    Done done = state_.execute("COMMIT");
    committed_ = done.has_value();
    return done;
  }

 private:
  State& state_;
  Done begun_;
  bool committed_ = false;
};

void State::Close::operator()(sqlite3* db) const {
  sqlite3_close(db);
}

std::string State::failed(std::string_view what) const {
  return fmt::format("{}: {}: {}", path_, what, sqlite3_errmsg(db_.get()));
}

State::Done State::execute(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return tl::unexpected(failed(std::string_view(sql).substr(0, 40)));
  return {};
}

tl::expected<State, std::string> State::open(const std::string& dir) {
  if (auto made = make_private_directory(dir); !made) return tl::unexpected(made.error());
  const std::string path = dir + "/teal.db";
  // SQLite gives its -wal and -shm files the mode of the database.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0)
    return tl::unexpected(fmt::format("{}: cannot open the state: {}", path, std::strerror(errno)));
  ::close(file);

  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, nullptr);
  State state(std::unique_ptr<sqlite3, Close>(handle), path);
  if (code != SQLITE_OK) return tl::unexpected(state.failed("cannot open the state"));
  sqlite3_busy_timeout(handle, 1000);  // somebody may be looking at it with another program
  for (const char* pragma :
       {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"}) {
    if (Done done = state.execute(pragma); !done) return tl::unexpected(done.error());
  }
  if (Done done = state.prepare_schema(); !done) return tl::unexpected(done.error());
  return state;
}

State::Done State::prepare_schema() {
  int64_t version = 0;
  {
    Statement statement(db_.get(), "PRAGMA user_version");
    if (!statement.row()) return tl::unexpected(failed("cannot read the schema's version"));
    version = statement.integer();
  }
  if (version > kSchema) {
    return tl::unexpected(
        fmt::format("{}: it has schema version {}, written by a newer teald; this one knows versions up to "
                    "{}: install the newer one, or "
                    "use another --state-dir",
                    path_, version, kSchema));
  }
  if (version == kSchema) return {};
  Transaction transaction(*this);
  if (!transaction.begun()) return transaction.begun();
  if (Done done = execute(kSchemaSql); !done) return done;
  return transaction.commit();
}

tl::expected<Inventory, std::string> State::load() {
  Inventory inventory;
  Statement services(db_.get(),
                     "SELECT id, name, vip, protocol, affinity_client, retired, active, previous, "
                     "flip_generation, flipped_at_ms "
                     "FROM services ORDER BY id");
  while (services.row()) {
    ServiceState service;
    service.id = static_cast<uint16_t>(services.integer());
    service.name = services.text();
    const std::optional<Socket> vip = parse_socket(services.text());
    if (!vip || service.id >= kMaxServices)
      return tl::unexpected(fmt::format("{}: services: row {} is damaged", path_, service.id));
    service.vip = *vip;
    service.vip.protocol = static_cast<uint8_t>(services.integer());
    service.affinity_client = services.integer() != 0;
    service.retired = services.integer() != 0;
    service.active = static_cast<Colour>(services.integer() & 1);
    if (const auto previous = services.integer_or_null())
      service.previous = static_cast<Colour>(*previous & 1);
    service.flip_generation = static_cast<uint64_t>(services.integer());
    service.flipped_at_ms = services.integer();
    inventory.services.push_back(std::move(service));
  }
  if (!services.complete()) return tl::unexpected(failed("cannot read the services"));

  Statement backends(db_.get(), "SELECT id, service, socket, protocol, retired FROM backends ORDER BY id");
  while (backends.row()) {
    BackendState backend;
    backend.id = static_cast<uint16_t>(backends.integer());
    backend.service = static_cast<uint16_t>(backends.integer());
    const std::optional<Socket> socket = parse_socket(backends.text());
    if (!socket || backend.id >= kMaxBackends)
      return tl::unexpected(fmt::format("{}: backends: row {} is damaged", path_, backend.id));
    backend.socket = *socket;
    backend.socket.protocol = static_cast<uint8_t>(backends.integer());
    backend.retired = backends.integer() != 0;
    inventory.backends.push_back(backend);
  }
  if (!backends.complete()) return tl::unexpected(failed("cannot read the backends"));

  Statement generations(
      db_.get(),
      "SELECT value FROM meta WHERE key IN ('given_generation', 'published_generation') ORDER BY key");
  if (generations.row()) inventory.given_generation = static_cast<uint64_t>(generations.integer());
  if (generations.row()) inventory.published_generation = static_cast<uint64_t>(generations.integer());
  if (!generations.row() && !generations.complete())
    return tl::unexpected(failed("cannot read the generation"));
  return inventory;
}

State::Done State::save(const Inventory& inventory) {
  Transaction transaction(*this);
  if (!transaction.begun()) return transaction.begun();
  if (Done done = execute("DELETE FROM backends; DELETE FROM services"); !done) return done;
  Statement add_service(db_.get(), "INSERT INTO services VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const ServiceState& service : inventory.services) {
    add_service.bind(service.id).bind(service.name).bind(to_string(service.vip)).bind(service.vip.protocol);
    add_service.bind(service.affinity_client)
        .bind(service.retired)
        .bind(static_cast<int64_t>(service.active));
    if (service.previous) {
      add_service.bind(static_cast<int64_t>(*service.previous));
    } else {
      add_service.bind_null();
    }
    add_service.bind(static_cast<int64_t>(service.flip_generation)).bind(service.flipped_at_ms);
    if (!add_service.run_again()) return tl::unexpected(failed("cannot write service " + service.name));
  }
  Statement add_backend(db_.get(), "INSERT INTO backends VALUES (?, ?, ?, ?, ?)");
  for (const BackendState& backend : inventory.backends) {
    add_backend.bind(backend.id)
        .bind(backend.service)
        .bind(to_string(backend.socket))
        .bind(backend.socket.protocol);
    if (!add_backend.bind(backend.retired).run_again())
      return tl::unexpected(failed("cannot write backend " + to_string(backend.socket)));
  }
  Statement raise(db_.get(), "UPDATE meta SET value = max(value, ?) WHERE key = ?");
  raise.bind(static_cast<int64_t>(inventory.given_generation)).bind("given_generation");
  if (!raise.run_again()) return tl::unexpected(failed("cannot write the generation"));
  raise.bind(static_cast<int64_t>(inventory.published_generation)).bind("published_generation");
  if (!raise.run_again()) return tl::unexpected(failed("cannot write the generation"));
  return transaction.commit();
}

tl::expected<int64_t, std::string> State::intend(const Intent& intent) {
  Transaction transaction(*this);
  if (!transaction.begun()) return tl::unexpected(transaction.begun().error());
  Statement add(db_.get(),
                "INSERT INTO history (at_ms, generation, event, verb, changes, reason, uid, user) "
                "VALUES (?, ?, 'intended', ?, ?, ?, ?, ?)");
  add.bind(wall_clock_ms())
      .bind(static_cast<int64_t>(intent.generation))
      .bind(intent.verb)
      .bind(intent.changes);
  add.bind(intent.reason).bind(intent.actor.uid).bind(intent.actor.user);
  if (!add.run()) return tl::unexpected(failed("cannot record the intent"));
  const int64_t id = sqlite3_last_insert_rowid(db_.get());
  Statement raise(db_.get(), "UPDATE meta SET value = max(value, ?) WHERE key = 'given_generation'");
  if (!raise.bind(static_cast<int64_t>(intent.generation)).run())
    return tl::unexpected(failed("cannot record the generation"));
  if (Done done = transaction.commit(); !done) return tl::unexpected(done.error());
  return id;
}

State::Done State::finish(int64_t intent, Outcome outcome, int64_t duration_us, const std::string& detail,
                          std::span<const ServiceState> changed) {
  Transaction transaction(*this);
  if (!transaction.begun()) return transaction.begun();
  Statement add(db_.get(),
                "INSERT INTO history (intent, at_ms, generation, event, verb, duration_us, detail) "
                "SELECT id, ?, generation, ?, verb, ?, ? FROM history WHERE id = ?");
  add.bind(wall_clock_ms()).bind(name_of(outcome)).bind(duration_us).bind(detail).bind(intent);
  if (!add.run() || sqlite3_changes(db_.get()) != 1)
    return tl::unexpected(failed("cannot record the result"));
  if (outcome == Outcome::kDone || outcome == Outcome::kAdoptionTimeout) {
    Statement set(
        db_.get(),
        "UPDATE services SET active = ?, previous = ?, flip_generation = ?, flipped_at_ms = ? WHERE id = ?");
    for (const ServiceState& service : changed) {
      set.bind(static_cast<int64_t>(service.active));
      if (service.previous) {
        set.bind(static_cast<int64_t>(*service.previous));
      } else {
        set.bind_null();
      }
      set.bind(static_cast<int64_t>(service.flip_generation)).bind(service.flipped_at_ms).bind(service.id);
      if (!set.run_again()) return tl::unexpected(failed("cannot record the target of " + service.name));
    }
    Statement raise(db_.get(),
                    "UPDATE meta SET value = max(value, (SELECT generation FROM history WHERE id = ?)) "
                    "WHERE key = 'published_generation'");
    if (!raise.bind(intent).run()) return tl::unexpected(failed("cannot record the generation"));
  }
  return transaction.commit();
}

tl::expected<std::vector<OpenIntent>, std::string> State::open_intents() {
  std::vector<OpenIntent> intents;
  Statement select(db_.get(),
                   "SELECT id, generation, verb FROM history AS i WHERE event = 'intended' "
                   "AND NOT EXISTS (SELECT 1 FROM history AS r WHERE r.intent = i.id) ORDER BY id");
  while (select.row()) {
    OpenIntent intent;
    intent.id = select.integer();
    intent.generation = static_cast<uint64_t>(select.integer());
    intent.verb = select.text();
    intents.push_back(std::move(intent));
  }
  if (!select.complete()) return tl::unexpected(failed("cannot read the history"));
  return intents;
}

tl::expected<std::vector<HistoryRow>, std::string> State::history(uint32_t limit) {
  std::vector<HistoryRow> rows;
  Statement select(db_.get(),
                   "SELECT id, ifnull(intent, 0), at_ms, generation, event, verb, changes, reason, user, "
                   "detail, uid, duration_us "
                   "FROM history ORDER BY id DESC LIMIT ?");
  select.bind(limit);
  while (select.row()) {
    HistoryRow row;
    row.id = select.integer();
    row.intent = select.integer();
    row.at_ms = select.integer();
    row.generation = static_cast<uint64_t>(select.integer());
    for (std::string* field : {&row.event, &row.verb, &row.changes, &row.reason, &row.user, &row.detail})
      *field = select.text();
    row.uid = static_cast<uint32_t>(select.integer());
    row.duration_us = select.integer();
    rows.push_back(std::move(row));
  }
  if (!select.complete()) return tl::unexpected(failed("cannot read the history"));
  return rows;
}

}  // namespace teal
