// SPDX-License-Identifier: Apache-2.0
#include "control/state/database.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <sqlite3.h>

#include "dataplane/config/config_reader.h"

namespace teal {

namespace {

constexpr int kLongestValueBytes = 16 << 20;
constexpr int kBusyTimeoutMs = 1000;

constexpr const char* kWritable =
    "teald has to read and write it, and to make files beside it: check owner and mode of the file and of "
    "its "
    "directory";

// What to do about an error of SQLite; "" if there is no general answer.
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
      return "another program holds it: end that one";
    case SQLITE_IOERR:
      return "look for errors of its disk in the kernel's log";
    default:
      return "";
  }
}

// SQLite says so of what is in the file, not of what is around it.
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

// The bytes of `text` at `at` that make up one character of UTF-8 (RFC 3629); 0 if none does.
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

// For an error: one line that moves no cursor and fits into JSON, whatever the file made SQLite say.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) c = '?';
  return utf8_only(std::move(text));
}

tl::expected<void, std::string> make_private_file(const std::string& path) {
  const auto failure = [&](std::string_view what) {
    return tl::unexpected(fmt::format("{}: cannot open the state: {}; {}", path, what, kWritable));
  };
  // SQLite gives its -wal and -shm files the mode of the database.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (file < 0) return failure(std::strerror(errno));
  struct stat status {};
  const bool regular = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  ::close(file);
  if (!regular) return failure("it is no file");
  const std::string dir = path.substr(0, path.rfind('/') + 1);
  if (::faccessat(AT_FDCWD, dir.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    return failure(fmt::format("its directory: {}", std::strerror(errno)));
  return {};
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const {
  sqlite3_close(handle);
}

std::string Database::failed(std::string_view what) const {
  const int code = sqlite3_errcode(handle_.get());
  const std::string text = fmt::format("cannot {}: {}", what, sqlite3_errmsg(handle_.get()));
  if (is_about_content(code)) return damaged(text);
  const std::string_view step = next_step(code);
  return one_line(fmt::format("{}: {}{}{}", path_, text, step.empty() ? "" : "; ", step));
}

std::string Database::damaged(std::string_view what) const {
  return one_line(fmt::format(
      "{0}: {1}; to go on without it, move {0}* aside and start teald again: ids and targets are then taken "
      "from the segment (without one: from the config file), and the history begins anew",
      path_, what));
}

Database::Done Database::execute(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return tl::unexpected(failed(fmt::format("do \"{}\"", std::string_view(sql).substr(0, 40))));
}

int64_t Database::last_id() const {
  return sqlite3_last_insert_rowid(handle_.get());
}
int64_t Database::changed_rows() const {
  return sqlite3_changes64(handle_.get());
}

tl::expected<std::unique_ptr<Database>, std::string> Database::open(const std::string& path) {
  if (auto made = make_private_file(path); !made) return tl::unexpected(made.error());
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(std::unique_ptr<sqlite3, Close>(handle), path));
  if (code != SQLITE_OK) return tl::unexpected(database->failed("open the state"));
  if (Done done = database->configure(); !done) return tl::unexpected(done.error());
  if (Done done = database->check(); !done) return tl::unexpected(done.error());
  return database;
}

Database::Done Database::configure() {
  sqlite3_busy_timeout(handle_.get(), kBusyTimeoutMs);  // somebody may be looking at it with another program
  // A damaged file shall not make SQLite do what it was not asked for.
  sqlite3_limit(handle_.get(), SQLITE_LIMIT_LENGTH, kLongestValueBytes);
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  for (const char* pragma : {"PRAGMA cell_size_check = ON", "PRAGMA journal_mode = WAL",
                             "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"}) {
    if (Done done = execute(pragma); !done) return done;
  }
  return {};
}

Database::Done Database::check() {
  Statement statement(*this, "PRAGMA quick_check(1)");
  if (!statement.row()) return tl::unexpected(failed("check the file"));
  Row row(*this, statement, "quick_check");
  const std::string verdict = row.prose("verdict");
  if (verdict != "ok") return tl::unexpected(damaged(fmt::format("the file is damaged: {}", verdict)));
  return {};
}

Statement::Statement(const Database& database, std::string_view sql)
    : code_(sqlite3_prepare_v2(database.handle(), sql.data(), static_cast<int>(sql.size()), &handle_,
                               nullptr)) {}
Statement::~Statement() {
  sqlite3_finalize(handle_);
}

Statement& Statement::bound(int code) {
  if (code_ == SQLITE_OK) code_ = code;
  return *this;
}
Statement& Statement::bind(int64_t value) {
  return bound(sqlite3_bind_int64(handle_, ++parameter_, value));
}
Statement& Statement::bind(const std::string& value) {
  return bound(
      sqlite3_bind_text64(handle_, ++parameter_, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}
Statement& Statement::bind(const std::optional<int64_t>& value) {
  return value ? bind(*value) : bound(sqlite3_bind_null(handle_, ++parameter_));
}

bool Statement::row() {
  if (code_ != SQLITE_OK && code_ != SQLITE_ROW) return false;
  code_ = sqlite3_step(handle_);
  return code_ == SQLITE_ROW;
}
bool Statement::run() {
  row();
  return complete();
}
bool Statement::run_again() {
  const bool ran = run();
  sqlite3_reset(handle_);
  parameter_ = 0;
  code_ = SQLITE_OK;
  return ran;
}
bool Statement::complete() const {
  return code_ == SQLITE_DONE;
}

Row::Row(const Database& database, const Statement& statement, std::string_view table)
    : database_(database), statement_(statement), table_(table) {}

bool Row::is_null() const {
  return sqlite3_column_type(statement_.handle_, column_) == SQLITE_NULL;
}

// Asks for the value's own type only, as SQLite would convert it for good.
std::string Row::shown(int column) const {
  sqlite3_stmt* handle = statement_.handle_;
  switch (sqlite3_column_type(handle, column)) {
    case SQLITE_INTEGER:
      return std::to_string(sqlite3_column_int64(handle, column));
    case SQLITE_FLOAT:
      return "a floating-point number";
    case SQLITE_NULL:
      return "null";
    case SQLITE_BLOB:
      return "a blob";
    default:
      break;
  }
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle, column));
  if (bytes == nullptr) return "nothing";  // no memory
  return in_quotes(std::string_view(bytes, static_cast<size_t>(sqlite3_column_bytes(handle, column))));
}

void Row::expect(bool holds, std::string_view column, std::string_view expected) {
  if (holds || !complaint_.empty()) return;
  complaint_ = fmt::format("table {}, row {}: {} is {}, expected {}", table_, shown(0), column,
                           shown(column_ - 1), expected);
}

int64_t Row::integer(std::string_view column, int64_t least, int64_t most) {
  const bool right_type = sqlite3_column_type(statement_.handle_, column_) == SQLITE_INTEGER;
  const int64_t value = right_type ? sqlite3_column_int64(statement_.handle_, column_) : least;
  ++column_;
  if (!right_type || value < least || value > most)
    expect(false, column, fmt::format("an integer from {} to {}", least, most));
  return value;
}

std::optional<int64_t> Row::integer_or_null(std::string_view column, int64_t least, int64_t most) {
  if (!is_null()) return integer(column, least, most);
  ++column_;
  return std::nullopt;
}

std::string Row::text(std::string_view column) {
  const bool right_type = sqlite3_column_type(statement_.handle_, column_) == SQLITE_TEXT;
  std::string value;
  if (right_type) {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.handle_, column_));
    const auto count = static_cast<size_t>(sqlite3_column_bytes(statement_.handle_, column_));
    if (bytes != nullptr) value.assign(bytes, count);
  }
  ++column_;
  expect(right_type, column, "text");
  return value;
}

std::optional<std::string> Row::text_or_null(std::string_view column) {
  if (!is_null()) return text(column);
  ++column_;
  return std::nullopt;
}

std::string Row::prose(std::string_view column) {
  return utf8_only(text(column));
}

Database::Done Row::done() const {
  if (complaint_.empty()) return {};
  return tl::unexpected(database_.damaged(complaint_));
}

}  // namespace teal
