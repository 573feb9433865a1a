// SPDX-License-Identifier: Apache-2.0
//
// Damages teald's database: the database is loaded with sane content, or refused with an error that fits into
// one line of a terminal and into JSON. The first byte of the input chooses the kind of damage:
//   even: to the file.   Then come patches: offset (2 bytes), how many bytes, the bytes.
//   odd:  to the values, in tables without constraints. Then come updates: column, row, type, value
//         (8 bytes, or how many bytes and the bytes).
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

#include <sqlite3.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "control/config/config_name.h"
#include "control/state/state.h"

namespace {

using teal::Inventory;

void require(bool holds, const char* what, std::string_view about = "") {
  if (holds) return;
  std::fprintf(stderr, "broken: %s: %.*s\n", what, static_cast<int>(about.size()), about.data());
  std::abort();
}

// Reads the input; zeros follow its end.
class Input {
 public:
  Input(const uint8_t* data, size_t bytes) : data_(data), left_(bytes) {}
  bool empty() const { return left_ == 0; }
  uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  std::string bytes(size_t count) {
    std::string taken;
    while (taken.size() < count && left_ > 0) taken += static_cast<char>(byte());
    return taken;
  }
  int64_t integer() {
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return static_cast<int64_t>(value);
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

class Directory {
 public:
  Directory() {
    // In memory where it can be: each round writes the file and syncs it.
    const char* parent = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    path_ = std::string(parent) + "/teal-fuzz-XXXXXX";
    require(::mkdtemp(path_.data()) != nullptr, "there is a directory", path_);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string database() const { return path_ + "/teal.db"; }
  void write(const std::string& content) const {
    for (const char* suffix : {"-wal", "-shm", "-journal"}) std::filesystem::remove(database() + suffix);
    std::ofstream(database(), std::ios::binary | std::ios::trunc) << content;
  }
  std::string read() const {
    std::ifstream file(database(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

class Sql {
 public:
  explicit Sql(const std::string& path) {
    require(sqlite3_open(path.c_str(), &db_) == SQLITE_OK, "it opens");
  }
  ~Sql() { sqlite3_close(db_); }
  Sql(const Sql&) = delete;
  Sql& operator=(const Sql&) = delete;
  void must(const std::string& sql) {
    require(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK, sqlite3_errmsg(db_), sql);
  }
  sqlite3* handle() { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

teal::Socket tcp(const char* text) {
  teal::Socket socket = *teal::parse_socket(text);
  socket.protocol = teal::kProtocolTcp;
  return socket;
}

Inventory some_inventory() {
  Inventory inventory;
  for (uint16_t id = 0; id < 4; ++id) {
    const std::string digit = std::to_string(id);
    teal::ServiceState service;
    service.id = id;
    service.name = "service-" + digit;
    service.vip = tcp(("198.18.0.1" + digit + ":80").c_str());
    service.flip_generation = id;
    if (id > 0) service.previous = teal::Colour::kGreen;
    if (id > 1) service.drain_timeout = std::chrono::seconds(id);
    if (id > 2) service.drain_then = teal::DrainConfig::Then::kReset;
    if (id > 2) service.undo = teal::Undo{teal::Colour::kGreen, id};
    if (id > 1) service.flipped_by = teal::FlippedBy{teal::FlipVerb::kRollback, 1000};
    service.added_after = id;
    if (id == 1) service.ramp = teal::Ramp{3, {.steps = {100, 2500, 10'000}}, 1, "a look at the logs"};
    inventory.services.push_back(service);
    teal::BackendState backend{id, id, tcp(("[fd18:2::1" + digit + "]:8080").c_str()), id == 3};
    if (id > 0) backend.members[id & 1] = {teal::AdminState::kDrain, id * 10u};
    inventory.backends.push_back(backend);
  }
  inventory.lock = teal::ChangeLock{1000, "operator", "frozen", 1'700'000'000'000};
  inventory.given_generation = inventory.published_generation = 4;
  return inventory;
}

teal::ChangeRecord some_record() {
  teal::ChangeRecord record;
  for (const teal::ServiceState& service : some_inventory().services)
    record.services.push_back(teal::record_of(service));
  for (const teal::BackendState& backend : some_inventory().backends)
    record.backends.push_back(teal::record_of(backend));
  return record;
}

// In pages of the least size, so that offsets mean much and a round costs little.
std::string intact_file(const Directory& directory) {
  Sql(directory.database()).must("PRAGMA page_size = 512; VACUUM");
  auto state = teal::State::open(directory.path());
  require(state && state->save(some_inventory()), "a database is made", state ? "" : state.error());
  for (uint64_t generation = 1; generation < 5; ++generation) {
    teal::Intent intent{generation, "flip", R"([{"service":"service-1"}])", "release", {1000, "operator"}};
    intent.record = some_record();
    const auto id = state->intend(intent);
    if (generation < 4)
      require(id && state->finish(*id, teal::Outcome::kDone, 0, 5, "", {}), "a change is recorded");
  }
  state = teal::State::open(directory.path());  // the log goes into the file
  { const auto closed = std::move(state); }
  return directory.read();
}

constexpr std::string_view kTables[] = {"meta", "services", "backends", "memberships", "lock", "history"};

// The same without keys, checks and triggers: any value can be put anywhere.
std::string loose_file(const Directory& directory, const std::string& intact) {
  directory.write(intact);
  {
    Sql sql(directory.database());
    sql.must("PRAGMA foreign_keys = OFF; DROP TRIGGER history_keeps; DROP TRIGGER history_stays");
    for (const std::string_view table : kTables) {
      std::string loosen = "CREATE TABLE copy AS SELECT * FROM ";
      loosen.append(table).append("; DROP TABLE ").append(table);
      loosen.append("; ALTER TABLE copy RENAME TO ").append(table);
      sql.must(loosen);
    }
    sql.must("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  return directory.read();
}

constexpr const char* kColumns[][2] = {
    {"meta", "key"},
    {"meta", "value"},
    {"services", "id"},
    {"services", "name"},
    {"services", "vip"},
    {"services", "protocol"},
    {"services", "retired"},
    {"services", "affinity_client"},
    {"services", "preview"},
    {"services", "preview_clients"},
    {"services", "active"},
    {"services", "previous"},
    {"services", "flip_generation"},
    {"services", "flipped_at_ms"},
    {"services", "drain_timeout_ms"},
    {"services", "drain_then"},
    {"services", "undo_to"},
    {"services", "undo_generation"},
    {"services", "flipped_by_verb"},
    {"services", "flipped_by_uid"},
    {"services", "added_after"},
    {"services", "ramp"},
    {"backends", "id"},
    {"backends", "service"},
    {"backends", "socket"},
    {"backends", "protocol"},
    {"backends", "retired"},
    {"memberships", "backend"},
    {"memberships", "colour"},
    {"memberships", "admin"},
    {"memberships", "weight"},
    {"lock", "id"},
    {"lock", "uid"},
    {"lock", "user"},
    {"lock", "reason"},
    {"lock", "at_ms"},
    {"history", "id"},
    {"history", "intent"},
    {"history", "at_ms"},
    {"history", "generation"},
    {"history", "event"},
    {"history", "verb"},
    {"history", "changes"},
    {"history", "reason"},
    {"history", "uid"},
    {"history", "user"},
    {"history", "duration_us"},
    {"history", "detail"},
    {"history", "record"},
};

void damage_values(const Directory& directory, Input& input) {
  Sql sql(directory.database());
  for (int round = 0; round < 16 && !input.empty(); ++round) {
    const auto& [table, column] = kColumns[input.byte() % std::size(kColumns)];
    const std::string update =
        std::string("UPDATE ") + table + " SET " + column + " = ?1 WHERE ?2 IN (0, rowid)";
    sqlite3_stmt* statement = nullptr;
    require(sqlite3_prepare_v2(sql.handle(), update.c_str(), -1, &statement, nullptr) == SQLITE_OK,
            "it is SQL", update);
    sqlite3_bind_int(statement, 2, input.byte() % 10);  // 0: every row
    const uint8_t type = input.byte();
    if (type % 5 < 2) {
      sqlite3_bind_int64(statement, 1, input.integer() >> (type & 0x38));  // small ones too
    } else if (type % 5 == 2) {
      const int64_t bits = input.integer();
      double number = 0;
      std::memcpy(&number, &bits, sizeof(number));
      sqlite3_bind_double(statement, 1, number);
    } else {
      const std::string bytes = input.bytes(input.byte());
      const auto count = static_cast<int>(bytes.size());
      if (type % 5 == 3) {
        sqlite3_bind_text(statement, 1, bytes.data(), count, SQLITE_TRANSIENT);
      } else {
        sqlite3_bind_blob(statement, 1, bytes.data(), count, SQLITE_TRANSIENT);
      }
    }
    (void)sqlite3_step(statement);
    sqlite3_finalize(statement);
  }
}

std::string patched(std::string file, Input& input) {
  while (!input.empty()) {
    const size_t at = (size_t{input.byte()} << 8 | input.byte()) % file.size();
    const std::string bytes = input.bytes(input.byte());
    file.replace(at, std::min(bytes.size(), file.size() - at), bytes, 0, file.size() - at);
  }
  return file;
}

void check_error(const std::string& error, const Directory& directory) {
  require(error.starts_with(directory.database() + ": "), "an error names the file", error);
  for (const char c : error)
    require(static_cast<uint8_t>(c) >= 0x20 && c != 0x7f, "an error is one line", error);
  (void)nlohmann::json(error).dump();  // throws at what is no UTF-8
}

void check_inventory(const Inventory& inventory) {
  std::set<int> services, backends;
  std::set<std::string> names, vips, sockets;
  const auto key = [](const teal::Socket& socket) {
    return to_string(socket) + "/" + std::to_string(socket.protocol);
  };
  for (const teal::ServiceState& service : inventory.services) {
    require(service.id < teal::kMaxServices && services.insert(service.id).second,
            "a service has its own id");
    require(teal::is_config_name(service.name) && names.insert(service.name).second,
            "a service has its own name");
    require(service.vip.port.raw != 0 && vips.insert(key(service.vip)).second, "a service has its own VIP");
    require(static_cast<uint8_t>(service.active) < teal::kColours, "there are two colours");
    require(static_cast<uint8_t>(service.previous.value_or(teal::Colour::kBlue)) < teal::kColours,
            "and no more");
    require(service.flip_generation >> 56 == 0, "a generation fits into the word");
    require(service.flipped_at_ms >= 0, "a flip was after 1970");
  }
  for (const teal::BackendState& backend : inventory.backends) {
    require(backend.id < teal::kMaxBackends && backends.insert(backend.id).second,
            "a backend has its own id");
    require(services.contains(backend.service), "a backend has its service");
    require(backend.socket.port.raw != 0 && sockets.insert(key(backend.socket)).second,
            "a backend has its own socket");
    for (const teal::Membership& member : backend.members) {
      require(static_cast<size_t>(member.admin) < teal::kAdminStateNames.size(), "an admin state has a name");
      require(member.weight.value_or(0) <= teal::kMaxWeight, "a weight is within its bounds");
    }
  }
  if (inventory.lock) (void)nlohmann::json(inventory.lock->reason + inventory.lock->user).dump();
  require(inventory.given_generation >> 56 == 0 && inventory.published_generation >> 56 == 0,
          "generations fit");
}

void check_history(const std::vector<teal::HistoryRow>& rows) {
  for (const teal::HistoryRow& row : rows) {
    require(nlohmann::json::accept(row.changes), "changes are JSON", row.changes);
    (void)nlohmann::json(row.verb + row.reason + row.actor.user + row.result + row.detail).dump();
    require(row.at_ms >= 0 && row.finished_at_ms >= 0 && row.duration_us >= 0, "times are times");
  }
}

// A record that was read is within the bounds of its values, so it survives another round.
void check_open_intents(const std::vector<teal::OpenIntent>& intents) {
  for (const teal::OpenIntent& intent : intents) {
    if (!intent.record) continue;
    const auto again = teal::parse_change_record(to_text(*intent.record));
    require(again && *again == *intent.record, "a record is written as it was read");
    Inventory inventory = some_inventory();
    apply(*intent.record, inventory);
    check_inventory(inventory);
  }
}

// An inventory that was loaded can be saved and loaded again, unless SQLite reports an error of the file.
void check_saving(teal::State& state, const Inventory& loaded, const Directory& directory) {
  const auto saved = state.save(loaded);
  if (!saved) return check_error(saved.error(), directory);
  const auto again = state.load();
  if (!again) return check_error(again.error(), directory);
  require(
      again->services == loaded.services && again->backends == loaded.backends && again->lock == loaded.lock,
      "what was saved is what is loaded");
}

void use(const Directory& directory) {
  auto state = teal::State::open(directory.path());
  if (!state) return check_error(state.error(), directory);
  for (const auto& rows :
       {state->history({}), state->history({.service = "service-1", .limit = 2, .before = 9}),
        state->published_since(0)}) {
    rows ? check_history(*rows) : check_error(rows.error(), directory);
  }
  const auto open = state->open_intents();
  open ? check_open_intents(*open) : check_error(open.error(), directory);
  if (const auto at = state->superseded_at_ms(1); !at) check_error(at.error(), directory);
  if (const auto known = state->knows_generation(1); !known) check_error(known.error(), directory);
  const auto loaded = state->load();
  if (!loaded) return check_error(loaded.error(), directory);
  check_inventory(*loaded);
  check_saving(*state, *loaded, directory);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  static const Directory directory;
  static const std::string intact = intact_file(directory);
  static const std::string loose = loose_file(directory, intact);
  Input input(data, bytes);
  if (input.byte() % 2 == 0) {
    directory.write(patched(intact, input));
  } else {
    directory.write(loose);
    damage_values(directory, input);
  }
  use(directory);
  return 0;
}
