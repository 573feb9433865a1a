// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <gtest/gtest.h>
#include <sqlite3.h>

namespace teal {

// Runs SQL as another program would: neither foreign keys nor teald's checks prevent anything.
inline void run_sql(const std::string& path, const std::string& sql, int expected = SQLITE_OK) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 5000);  // a teald may be writing
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), expected)
      << sqlite3_errmsg(db) << ": " << sql;
  sqlite3_close(db);
}

}  // namespace teal
