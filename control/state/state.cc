// SPDX-License-Identifier: Apache-2.0
#include "control/state/state.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <sys/stat.h>

#include <fmt/format.h>

#include "control/state/database.h"
#include "control/state/schema.h"
#include "control/state/state_tables.h"

namespace teal {

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

namespace {

tl::expected<std::unique_ptr<Database>, std::string> open_database(const std::string& dir,
                                                                   BeforeMigration before) {
  if (auto made = State::make_directory(dir); !made) return tl::unexpected(made.error());
  auto database = Database::open(dir + "/teal.db");
  if (!database) return database;
  if (auto done = prepare_schema(**database, before); !done) return tl::unexpected(done.error());
  return database;
}

}  // namespace

tl::expected<State, std::string> State::of(tl::expected<std::unique_ptr<Database>, std::string> database) {
  if (!database) return tl::unexpected(database.error());
  return State(std::move(*database));
}

tl::expected<State, std::string> State::open(const std::string& dir) {
  return of(open_database(dir, BeforeMigration::kCopy));
}

tl::expected<State, std::string> State::open_expendable(const std::string& dir) {
  return of(open_database(dir, BeforeMigration::kNothing));
}

tl::expected<State, std::string> State::open_to_read(const std::string& dir) {
  return of(Database::open_to_read(dir + "/teal.db").and_then(readable));
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
