// SPDX-License-Identifier: Apache-2.0
#include "control/state/database.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <SQLiteCpp/Backup.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "dataplane/config/config_reader.h"

namespace teal {

namespace {

constexpr int kLongestValueBytes = 16 << 20;
constexpr int kBusyTimeoutMs = 500;  // below the time limit of a commit (recorder.h)

constexpr const char* kWritable =
    "teald must read and write it and make files beside it: check owner and mode of the file and of its "
    "directory";

// Returns what an operator can do about an error of SQLite; "" without a general answer.
std::string_view next_step(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return "make room on its disk";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return kWritable;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "another program holds it: end that program";
    case SQLITE_IOERR:
      return "look for errors of its disk in the kernel's log";
    default:
      return "";
  }
}

// Returns whether the error is about the content of the file, not about its surroundings.
bool is_about_content(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:  // no such table, no such column
    case SQLITE_SCHEMA:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
      return true;
    default:
      return false;
  }
}

// Returns the length of the UTF-8 character (RFC 3629) at `at`; 0 if there is none.
size_t utf8_bytes(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t count = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() - at < count) return 0;
  for (size_t i = 1; i < count; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) >= 0xa0;
  const bool beyond = first == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || beyond ? 0 : count;
}

std::string utf8_only(std::string text) {
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = utf8_bytes(text, at);
    if (bytes == 0) text[at] = '?';
    at += bytes == 0 ? 1 : bytes;
  }
  return text;
}

// Makes a text that may quote a damaged file fit for an error: one line without control characters, in UTF-8.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) c = '?';
  return utf8_only(std::move(text));
}

// Never opens a file that exists: the kernel drops the locks that SQLite has on it in this process when any
// descriptor of the file is closed (fcntl(2), "advisory record locking").
tl::expected<void, std::string> make_private_file(const std::string& path) {
  const auto failure = [&](std::string_view what) {
    return tl::unexpected(fmt::format("{}: cannot open the state: {}; {}", path, what, kWritable));
  };
  // SQLite gives its -wal and -shm files the mode of the database.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0 && errno != EEXIST) return failure(std::strerror(errno));
  if (file >= 0) ::close(file);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return failure(std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    return failure(S_ISDIR(status.st_mode) ? std::strerror(EISDIR) : "it is not a regular file");
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) != 0) return failure(std::strerror(errno));
  const std::string dir = path.substr(0, path.rfind('/') + 1);
  if (::faccessat(AT_FDCWD, dir.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    return failure(fmt::format("its directory: {}", std::strerror(errno)));
  return {};
}

}  // namespace

Database::Expected<void> sync_to_disk(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool is_synced = file >= 0 && ::fsync(file) == 0;
  const int error = errno;
  if (file >= 0) ::close(file);
  if (is_synced) return {};
  return tl::unexpected(fmt::format("{}: cannot wait for the disk: {}", path, std::strerror(error)));
}

std::string Database::failed(std::string_view what, const SQLite::Exception& error) const {
  const std::string text = fmt::format("cannot {}: {}", what, error.what());
  if (is_about_content(error.getErrorCode())) return damaged(text);
  const std::string_view step = next_step(error.getErrorCode());
  return one_line(fmt::format("{}: {}{}{}", path_, text, step.empty() ? "" : "; ", step));
}

std::string Database::damaged(std::string_view what) const {
  return one_line(
      fmt::format("{0}: {1}; to go on without it, move {0}* aside and start teald again: ids and traffic "
                  "splits are then taken "
                  "from the segment (without one: from the config file), and the history begins again",
                  path_, what));
}

Database::Expected<std::unique_ptr<Database>> Database::open(const std::string& path) {
  if (auto made = make_private_file(path); !made) return tl::unexpected(made.error());
  return opened(path, true);
}

Database::Expected<std::unique_ptr<Database>> Database::open_to_read(const std::string& path) {
  return opened(path, false);
}

Database::Expected<std::unique_ptr<Database>> Database::opened(const std::string& path, bool to_write) {
  std::unique_ptr<Database> database;
  try {
    database.reset(new Database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_FULLMUTEX));
  } catch (const SQLite::Exception& error) {
    return tl::unexpected(
        one_line(fmt::format("{}: cannot open the state: {}; {}", path, error.what(), kWritable)));
  }
  const auto ready = database->attempt("check the file", [&](SQLite::Database&) {
    database->configure(to_write);
    database->check();
  });
  if (!ready) return tl::unexpected(ready.error());
  return database;
}

Database::Expected<std::unique_ptr<Database>> Database::in_memory(Database& source) {
  return source.attempt("copy the state into memory", [&](SQLite::Database& sqlite) {
    std::unique_ptr<Database> database(
        new Database(source.path_, ":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE));
    SQLite::Backup backup(database->sqlite_, sqlite);
    if (const int result = backup.executeStep(); result != SQLITE_DONE)
      throw SQLite::Exception(sqlite.getHandle(), result);
    database->configure(true);
    return database;
  });
}

Database::Expected<void> Database::copy(const std::string& path, const std::string& to) {
  if (to.empty()) return tl::unexpected<std::string>("the name of the copy is empty");
  std::optional<SQLite::Database> source;
  try {
    source.emplace(path, SQLite::OPEN_READONLY, kBusyTimeoutMs);
  } catch (const SQLite::Exception& error) {
    return tl::unexpected(one_line(fmt::format("{}: cannot open the state: {}", path, error.what())));
  }
  try {
    SQLite::Statement copy(*source, "VACUUM INTO ?");
    run(copy, to);
  } catch (const SQLite::Exception& error) {
    return tl::unexpected(
        one_line(fmt::format("cannot copy {} to {}: {}; the copy must be a new file, in a directory that "
                             "exists, on a disk with room",
                             path, to, error.what())));
  }
  return sync_to_disk(to);
}

void Database::configure(bool to_write) {
  sqlite_.setBusyTimeout(kBusyTimeoutMs);  // another program may be reading the file
  // A damaged file must not make SQLite do more than it was asked for.
  sqlite3* handle = sqlite_.getHandle();
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kLongestValueBytes);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite_.exec("PRAGMA cell_size_check = ON");
  if (!to_write) {
    // An exclusive lock lets SQLite keep the index of the write-ahead log in memory instead of in a file.
    sqlite_.exec("PRAGMA locking_mode = EXCLUSIVE");
    return;
  }
  for (const char* pragma :
       {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"})
    sqlite_.exec(pragma);
}

void Database::check() {
  SQLite::Statement statement(sqlite_, "PRAGMA quick_check(1)");
  if (!statement.executeStep()) throw Damage("the file is damaged: quick_check says nothing");
  const std::string verdict = Row(statement, "quick_check").prose("verdict");
  if (verdict != "ok") throw Damage("the file is damaged: " + verdict);
}

// Asks only for a value of its own type: SQLite would convert it in place.
std::string Row::shown(int column) const {
  const SQLite::Column value = statement_.getColumn(column);
  if (value.isInteger()) return std::to_string(value.getInt64());
  if (value.isFloat()) return "a floating-point number";
  if (value.isNull()) return "null";
  if (value.isBlob()) return "a blob";
  return in_quotes(value.getString());
}

void Row::expect(bool holds, std::string_view column, std::string_view expected) {
  if (holds) return;
  throw Damage(fmt::format("table {}, row {}: {} is {}, expected {}", table_, shown(0), column,
                           shown(column_ - 1), expected));
}

int64_t Row::integer(std::string_view column, int64_t least, int64_t most) {
  const SQLite::Column value = statement_.getColumn(column_++);
  const bool fits = value.isInteger() && value.getInt64() >= least && value.getInt64() <= most;
  if (!fits) expect(false, column, fmt::format("an integer from {} to {}", least, most));
  return value.getInt64();
}

std::optional<int64_t> Row::integer_or_null(std::string_view column, int64_t least, int64_t most) {
  if (!statement_.getColumn(column_).isNull()) return integer(column, least, most);
  ++column_;
  return std::nullopt;
}

std::string Row::text(std::string_view column) {
  const SQLite::Column value = statement_.getColumn(column_++);
  expect(value.isText(), column, "text");
  return value.getString();
}

std::optional<std::string> Row::text_or_null(std::string_view column) {
  if (!statement_.getColumn(column_).isNull()) return text(column);
  ++column_;
  return std::nullopt;
}

std::string Row::prose(std::string_view column) {
  return utf8_only(text(column));
}

}  // namespace teal
