// SPDX-License-Identifier: Apache-2.0
//
// The methods of State (state.h) that keep what the delivery of hooks has reached.
#include "control/state/database.h"
#include "control/state/limits.h"
#include "control/state/state.h"

namespace teal {

namespace {

constexpr int64_t kNoHooks = -1;

std::optional<int64_t> read_delivered(SQLite::Database& sqlite) {
  SQLite::Statement select(sqlite, "SELECT key, value FROM meta WHERE key = 'hooks_until'");
  if (!select.executeStep()) throw Damage("table meta: there is no row \"hooks_until\"");
  Row row(select, "meta");
  row.text("key");
  const int64_t until = row.integer("value", kNoHooks, INT64_MAX);
  return until == kNoHooks ? std::nullopt : std::optional(until);
}

}  // namespace

tl::expected<HookMemory, std::string> State::hook_memory() {
  return db_->attempt("read what hooks have run", [](SQLite::Database& sqlite) {
    HookMemory memory{.delivered = read_delivered(sqlite), .drains = {}};
    SQLite::Statement select(
        sqlite, "SELECT change, service, generation, input FROM hook_drains ORDER BY change, service");
    while (select.executeStep()) {
      Row row(select, "hook_drains");
      PendingDrain drain;
      drain.change = row.integer("change", 1, INT64_MAX);
      drain.service = row.prose("service");
      drain.generation = static_cast<uint64_t>(row.integer("generation", 0, kMaxGeneration));
      drain.input = row.prose("input");
      memory.drains.push_back(std::move(drain));
    }
    return memory;
  });
}

State::Done State::keep(const HookMemory& memory) {
  return db_->commit("keep what hooks have run", [&](SQLite::Database& sqlite) {
    SQLite::Statement set(sqlite, "UPDATE meta SET value = ? WHERE key = 'hooks_until'");
    run(set, memory.delivered.value_or(kNoHooks));
    sqlite.exec("DELETE FROM hook_drains");
    SQLite::Statement add(
        sqlite,
        "INSERT OR REPLACE INTO hook_drains (change, service, generation, input) VALUES (?, ?, ?, ?)");
    for (const PendingDrain& drain : memory.drains)
      run(add, drain.change, drain.service, generation_in_range(drain.generation), drain.input);
  });
}

tl::expected<int64_t, std::string> State::latest_change(uint64_t generation) {
  return db_->attempt("read the latest change", [&](SQLite::Database& sqlite) -> int64_t {
    SQLite::Statement select(sqlite,
                             "SELECT id FROM history WHERE intent IS NULL AND generation <= ? "
                             "ORDER BY generation DESC, id DESC LIMIT 1");
    select.bind(1, generation_in_range(generation));
    if (!select.executeStep()) return 0;
    Row row(select, "history");
    return row.integer("id", 1, INT64_MAX);
  });
}

}  // namespace teal
