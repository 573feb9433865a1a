// SPDX-License-Identifier: Apache-2.0
//
// The little of SQLite that state.h needs: statements, transactions, and reading rows that may be damaged.
// Every error names the file and says what to do next.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

struct sqlite3;
struct sqlite3_stmt;

namespace teal {

class Database {
 public:
  using Done = tl::expected<void, std::string>;

  // Creates the file (0600) where there is none. Durable at every commit; a reader beside it is allowed. The
  // file is checked as a whole (quick_check).
  static tl::expected<std::unique_ptr<Database>, std::string> open(const std::string& path);

  Done execute(const char* sql);
  int64_t last_id() const;       // of the row that was inserted last
  int64_t changed_rows() const;  // by the last statement

  // SQLite's latest error. `what` completes "PATH: cannot ...".
  std::string failed(std::string_view what) const;
  // The content is not what was once written. `what` is a whole clause.
  std::string damaged(std::string_view what) const;

  const std::string& path() const { return path_; }
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  Database(std::unique_ptr<sqlite3, Close> handle, std::string path)
      : handle_(std::move(handle)), path_(std::move(path)) {}
  Done configure();
  Done check();

  std::unique_ptr<sqlite3, Close> handle_;
  std::string path_;
};

// Bound in order, then stepped through.
class Statement {
 public:
  Statement(const Database& database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int64_t value);
  Statement& bind(const std::string& value);
  Statement& bind(const std::optional<int64_t>& value);  // nothing: null

  bool row();             // is there another row?
  bool run();             // of a statement without rows; false: it failed
  bool run_again();       // the same, ready to be bound anew
  bool complete() const;  // no error ended the rows

 private:
  friend class Row;
  Statement& bound(int code);

  sqlite3_stmt* handle_ = nullptr;
  int code_ = 0;
  int parameter_ = 0;
};

// The present row of a statement: columns in order, each with what it may be. The first that is otherwise is
// told by done(); what was read is then not to be used. Column 0 is what errors call the row by.
class Row {
 public:
  Row(const Database& database, const Statement& statement, std::string_view table);

  int64_t integer(std::string_view column, int64_t least, int64_t most);
  std::optional<int64_t> integer_or_null(std::string_view column, int64_t least, int64_t most);
  std::string text(std::string_view column);
  std::optional<std::string> text_or_null(std::string_view column);
  // For people: what is no UTF-8 of it is replaced by '?', as JSON takes nothing else.
  std::string prose(std::string_view column);

  // `holds` of the value that was read last.
  void expect(bool holds, std::string_view column, std::string_view expected);

  bool fine() const { return complaint_.empty(); }
  Database::Done done() const;

 private:
  bool is_null() const;
  std::string shown(int column) const;

  const Database& database_;
  const Statement& statement_;
  std::string_view table_;
  int column_ = 0;
  std::string complaint_;
};

// Rolled back unless committed.
class Transaction {
 public:
  explicit Transaction(Database& database)
      : database_(database), begun_(database.execute("BEGIN IMMEDIATE")) {}
  ~Transaction() {
    if (begun_ && !committed_) (void)database_.execute("ROLLBACK");
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  const Database::Done& begun() const { return begun_; }
  Database::Done commit() {
    Database::Done done = database_.execute("COMMIT");
    committed_ = done.has_value();
    return done;
  }

 private:
  Database& database_;
  Database::Done begun_;
  bool committed_ = false;
};

}  // namespace teal
