// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes the inventory in the tables of the database. Only state.cc and state_history.cc use it,
// inside Database::attempt() or commit(): errors are thrown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "control/state/change_record.h"
#include "control/state/database.h"
#include "control/state/inventory.h"
#include "control/state/state.h"

namespace teal {

Inventory read_inventory(SQLite::Database& sqlite);

void write_inventory(SQLite::Database& sqlite, const Inventory& inventory);  // replaces all of it
// Writes the values of the record, and of `rest` the lock and the numbers.
void write_change(SQLite::Database& sqlite, const ChangeRecord& record, const Inventory& rest);
void write_record(SQLite::Database& sqlite, const ChangeRecord& record);
void write_lock(SQLite::Database& sqlite, const std::optional<ChangeLock>& lock);
// The text of the latest config that was in force; nothing: none was recorded.
std::optional<std::string> read_good_config(SQLite::Database& sqlite);
void write_good_config(SQLite::Database& sqlite, const std::string& text);
// `intent`: the id of its row; nothing: the request had nothing to change. Requests that are older than a day
// are forgotten.
void write_request(SQLite::Database& sqlite, const CarriedOut& request, std::optional<int64_t> intent,
                   int64_t at_ms);
void forget_request(SQLite::Database& sqlite, int64_t intent);
// Raises the highest generation that was given, and reserves a block above it where needed.
void raise_given(SQLite::Database& sqlite, uint64_t generation);
void raise_generation(SQLite::Database& sqlite, const std::string& which, uint64_t generation);

}  // namespace teal
