// SPDX-License-Identifier: Apache-2.0
//
// The database of state.h: opens and checks the file, turns SQLiteCpp's exceptions into errors, and reads
// rows that may be damaged. Every error names the file and says what to do next. Exceptions do not leave this
// room.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <SQLiteCpp/SQLiteCpp.h>
#include <tl/expected.hpp>

namespace teal {

// A value is not what teald once wrote. The text is a whole clause.
class Damage : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Database {
 public:
  template <typename T>
  using Expected = tl::expected<T, std::string>;

  // Creates the file (0600) where there is none, and checks the whole file (quick_check). Every commit is
  // durable. Another program may read the file at the same time.
  static Expected<std::unique_ptr<Database>> open(const std::string& path);
  // Opens an existing file to read it, and writes nothing, so that a full disk does not matter. Meanwhile no
  // other program can read the file.
  static Expected<std::unique_ptr<Database>> open_to_read(const std::string& path);

  // Copies a database into memory, where it can be changed. Its errors name the file all the same.
  static Expected<std::unique_ptr<Database>> in_memory(Database& source);

  // Copies the file into a new one, as of one moment, and waits until that is on the disk. Another program
  // may use the file meanwhile.
  static Expected<void> copy(const std::string& path, const std::string& to);

  // Calls work(SQLite::Database&) and returns its result, or the error of SQLite or of a damaged row. `what`
  // completes "PATH: cannot ...".
  template <typename Work, typename T = std::invoke_result_t<Work&, SQLite::Database&>>
  Expected<T> attempt(std::string_view what, Work work) {
    try {
      if constexpr (std::is_void_v<T>) {
        work(sqlite_);
        return {};
      } else {
        return work(sqlite_);
      }
    } catch (const Damage& damage) {
      return tl::unexpected(damaged(damage.what()));
    } catch (const SQLite::Exception& error) {
      return tl::unexpected(failed(what, error));
    }
  }

  // The same in a transaction. An error rolls it back.
  template <typename Work, typename T = std::invoke_result_t<Work&, SQLite::Database&>>
  Expected<T> commit(std::string_view what, Work work) {
    return attempt(what, [&](SQLite::Database& sqlite) -> T {
      SQLite::Transaction transaction(sqlite, SQLite::TransactionBehavior::IMMEDIATE);
      if constexpr (std::is_void_v<T>) {
        work(sqlite);
        transaction.commit();
      } else {
        T result = work(sqlite);
        transaction.commit();
        return result;
      }
    });
  }

  const std::string& path() const { return path_; }

 private:
  Database(const std::string& path, int flags) : Database(path, path, flags) {}
  Database(const std::string& path, const std::string& file, int flags) : sqlite_(file, flags), path_(path) {}
  static Expected<std::unique_ptr<Database>> opened(const std::string& path, bool to_write);
  void configure(bool to_write);
  void check();
  std::string failed(std::string_view what, const SQLite::Exception& error) const;
  std::string damaged(std::string_view what) const;

  SQLite::Database sqlite_;
  std::string path_;
};

// Waits until a file's content, or a directory's names, are on the disk. SQLite must not have the file
// open: closing another descriptor of the file drops SQLite's locks.
Database::Expected<void> sync_to_disk(const std::string& path);

inline void bind_value(SQLite::Statement& statement, int index, int64_t value) {
  statement.bind(index, value);
}
inline void bind_value(SQLite::Statement& statement, int index, const std::string& value) {
  statement.bind(index, value);
}
inline void bind_value(SQLite::Statement& statement, int index, const std::optional<int64_t>& value) {
  value ? statement.bind(index, *value) : statement.bind(index);
}
inline void bind_value(SQLite::Statement& statement, int index, const std::optional<std::string>& value) {
  value ? statement.bind(index, *value) : statement.bind(index);
}

// Binds the values in order.
template <typename... Values>
void bind_all(SQLite::Statement& statement, const Values&... values) {
  int index = 0;
  (bind_value(statement, ++index, values), ...);
}

// Runs a statement without rows, and returns how many rows it changed. It can be run again.
template <typename... Values>
int run(SQLite::Statement& statement, const Values&... values) {
  bind_all(statement, values...);
  const int changed_rows = statement.exec();
  statement.reset();
  return changed_rows;
}

// Reads the columns of the present row in order, each with the values that it may have. Any other value
// throws Damage. Column 0 names the row in errors.
class Row {
 public:
  Row(SQLite::Statement& statement, std::string_view table) : statement_(statement), table_(table) {}

  int64_t integer(std::string_view column, int64_t least, int64_t most);
  std::optional<int64_t> integer_or_null(std::string_view column, int64_t least, int64_t most);
  std::string text(std::string_view column);
  std::optional<std::string> text_or_null(std::string_view column);
  // For people: bytes that are not UTF-8 are replaced by '?', as JSON takes nothing else.
  std::string prose(std::string_view column);

  // Checks the value that was read last.
  void expect(bool holds, std::string_view column, std::string_view expected);

 private:
  std::string shown(int column) const;

  SQLite::Statement& statement_;
  std::string_view table_;
  int column_ = 0;
};

}  // namespace teal
