// SPDX-License-Identifier: Apache-2.0
//
// The inventory in the tables of the database: inner part of state.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "control/state/database.h"
#include "control/state/inventory.h"

namespace teal {

// What can be in the columns. Writers keep within it, so that a reader may refuse the rest.
inline constexpr int64_t kMaxGeneration = int64_t{1} << 55;      // the publication word has 56 bits
inline constexpr int64_t kMaxTimeMs = 253'402'300'799'999;       // the year 9999; a clock may be that wrong
inline constexpr int64_t kMaxDurationMs = 10'000 * 3'600'000LL;  // as parse_duration()

inline int64_t in_range(int64_t value, int64_t most) {
  return std::clamp<int64_t>(value, 0, most);
}
inline int64_t generation_in_range(uint64_t generation) {
  return static_cast<int64_t>(std::min<uint64_t>(generation, kMaxGeneration));
}

tl::expected<Inventory, std::string> read_inventory(const Database& database);

// Within a transaction of the caller's:
Database::Done write_inventory(Database& database, const Inventory& inventory);  // in place of what is there
Database::Done write_changed(Database& database, std::span<const ServiceState> services,
                             std::span<const BackendState> backends);  // of what is there already
Database::Done write_lock(Database& database, const std::optional<ChangeLock>& lock);
Database::Done raise_generation(Database& database, const std::string& which, uint64_t generation);

}  // namespace teal
