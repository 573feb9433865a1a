// SPDX-License-Identifier: Apache-2.0
//
// The schema of the database: its steps, and which databases this teald can use. Only state.cc uses it.
#pragma once

#include <memory>
#include <string>

#include <tl/expected.hpp>

#include "control/state/database.h"

namespace teal {

inline constexpr int kSchema = 8;

enum class BeforeMigration { kCopy, kNothing };

// Brings a database to this schema. Before that, with kCopy, an older one is copied to PATH.schemaN, where N
// is its schema. One that a newer teald wrote stays as it is, if its schema says that this teald can use it.
// The error says why the database cannot be used, and nothing was changed.
tl::expected<void, std::string> prepare_schema(Database& database, BeforeMigration before);

// The same for a database whose file may not be changed: an older one is migrated in memory, and an empty one
// is an error. Returns the database to read.
tl::expected<std::unique_ptr<Database>, std::string> readable(std::unique_ptr<Database> database);

}  // namespace teal
