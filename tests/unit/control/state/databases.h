// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <sqlite3.h>

#include <initializer_list>
#include <string>

#include "control/state/change_record.h"
#include "control/state/inventory.h"
#include "tests/unit/control/config/configs.h"

namespace teal {

// service-a was flipped by uid 1000, service-b is retired with its backend; generations 9 (given) and 7
// (published).
inline Inventory some_inventory() {
  Inventory inventory;
  inventory.services = {
      {.id = 0,
       .name = "service-a",
       .vip = tcp("198.18.0.10:80"),
       .active = Colour::kGreen,
       .previous = Colour::kBlue,
       .flip_generation = 7,
       .flipped_at_ms = 1'700'000'000'123},
      {.id = 5, .name = "service-b", .vip = tcp("[fd18::10]:80"), .affinity_client = true, .retired = true}};
  inventory.services[0].undo = Undo{Colour::kBlue, 7};
  inventory.services[0].flipped_by = FlippedBy{FlipVerb::kFlip, 1000};
  inventory.backends = {{0, 0, tcp("198.18.2.11:8080"), false}, {4095, 5, tcp("[fd18:2::11]:8080"), true}};
  inventory.given_generation = 9;
  inventory.published_generation = 7;
  return inventory;
}

inline constexpr int64_t kFinishedAtMs = 1'700'000'002'000;  // of the changes in these tests

// The record of a change that sets these states.
inline ChangeRecord recorded(std::initializer_list<ServiceState> services,
                             std::initializer_list<BackendState> backends = {}) {
  ChangeRecord record;
  for (const ServiceState& service : services) record.services.push_back(record_of(service));
  for (const BackendState& backend : backends) record.backends.push_back(record_of(backend));
  return record;
}

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
