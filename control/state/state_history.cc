// SPDX-License-Identifier: Apache-2.0
//
// The methods of State (state.h) that read and write the history.
#include "control/state/state.h"

#include <algorithm>

#include <fmt/format.h>

#include "control/state/database.h"
#include "control/state/limits.h"
#include "control/state/state_tables.h"

namespace teal {

namespace {

using Done = State::Done;

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone:
      return "done";
    case Outcome::kAdoptionTimeout:
      return "adoption_timeout";
    case Outcome::kInterrupted:
      return "interrupted";
    case Outcome::kNotPublished:
      return "not_published";
  }
  return "";
}

bool is_outcome(std::string_view name) {
  for (const Outcome outcome :
       {Outcome::kDone, Outcome::kAdoptionTimeout, Outcome::kInterrupted, Outcome::kNotPublished})
    if (name == name_of(outcome)) return true;
  return false;
}

// i: intents, r: their results, a: the names of users that were looked up later.
constexpr std::string_view kIntents =
    "FROM history AS i LEFT JOIN history AS r ON r.intent = i.id LEFT JOIN actors AS a ON a.intent = i.id "
    "WHERE i.intent IS NULL";
constexpr std::string_view kPublished = "r.event IN ('done', 'adoption_timeout')";
constexpr std::string_view kNoLock =
    "i.verb NOT IN ('lock', 'unlock')";  // they have no generation of their own

// Selects what read_changes() reads; `conditions` completes the statement.
std::string select_changes(std::string_view conditions) {
  return fmt::format(
      "SELECT i.id, i.event, i.generation, i.verb, json_valid(i.changes), i.changes, i.reason, i.uid, "
      "COALESCE(a.user, i.user), i.actor, i.revision, "
      "i.at_ms, r.event, r.at_ms, r.duration_us, r.detail {} {}",
      kIntents, conditions);
}

int64_t add_intent(SQLite::Database& sqlite, const Intent& intent) {
  SQLite::Statement add(sqlite,
                        "INSERT INTO history (at_ms, generation, event, verb, changes, reason, uid, user, "
                        "record, actor, revision) "
                        "VALUES (?, ?, 'intended', ?, ?, ?, ?, ?, ?, ?, ?)");
  std::optional<int64_t> revision;
  if (intent.revision) revision = generation_in_range(*intent.revision);
  run(add, in_range(intent.at_ms, kMaxTimeMs), generation_in_range(intent.generation), intent.verb,
      intent.changes.empty() ? "[]" : intent.changes, intent.reason, intent.actor.uid, intent.actor.user,
      to_text(intent.record), static_cast<int64_t>(intent.actor.kind), revision);
  const int64_t row = sqlite.getLastInsertRowid();
  raise_given(sqlite, std::max(intent.generation, intent.revision.value_or(0)));
  if (intent.request) write_request(sqlite, *intent.request, row, intent.at_ms);
  return row;
}

void add_result(SQLite::Database& sqlite, int64_t intent, Outcome outcome, int64_t at_ms, int64_t duration_us,
                const std::string& detail) {
  SQLite::Statement add(sqlite,
                        "INSERT INTO history (intent, at_ms, generation, event, verb, duration_us, detail) "
                        "SELECT id, ?, generation, ?, verb, ?, ? FROM history WHERE id = ?");
  const int added = run(add, in_range(at_ms, kMaxTimeMs), std::string(name_of(outcome)),
                        std::max<int64_t>(duration_us, 0), detail, intent);
  if (added != 1) throw SQLite::Exception(fmt::format("there is no intent {}", intent));
}

void add_finish(SQLite::Database& sqlite, int64_t row, const Intent& intent, const Finish& finish) {
  add_result(sqlite, row, finish.outcome, finish.at_ms, finish.duration_us, finish.detail);
  if (!was_published(finish.outcome)) return forget_request(sqlite, row);
  if (finish.request) write_request(sqlite, *finish.request, row, finish.at_ms);
  write_record(sqlite, finish.record);
  if (intent.lock) write_lock(sqlite, intent.lock->lock);
  SQLite::Statement raise(sqlite,
                          "UPDATE meta SET value = max(value, (SELECT generation FROM history WHERE id = ?)) "
                          "WHERE key = 'published_generation'");
  run(raise, row);
  SQLite::Statement raise_revision(
      sqlite,
      "UPDATE meta SET value = max(value, COALESCE((SELECT revision FROM history WHERE id = ?), 0)) "
      "WHERE key = 'revision'");
  run(raise_revision, row);
}

void take_back(SQLite::Database& sqlite, const TakenBack& lock) {
  forget_request(sqlite, lock.row);
  SQLite::Statement set(sqlite, "UPDATE meta SET value = ? WHERE key = 'revision'");
  run(set, generation_in_range(lock.revision));
}

// Forgets all changes, but not their requests.
void forget_changes(SQLite::Database& sqlite) {
  sqlite.exec(
      "UPDATE meta SET value = (SELECT COALESCE(max(id), 0) + 1 FROM history) WHERE key = 'history_from'; "
      "UPDATE requests SET intent = NULL; DELETE FROM actors; DELETE FROM history");
}

Actor read_actor(Row& row) {
  Actor actor;
  actor.uid = static_cast<uint32_t>(row.integer("uid", 0, UINT32_MAX));
  actor.user = row.prose("user");
  actor.kind = static_cast<Actor::Kind>(row.integer("actor", 0, static_cast<int64_t>(Actor::Kind::kTeald)));
  return actor;
}

HistoryRow read_row(Row& row) {
  HistoryRow change;
  change.id = row.integer("id", 1, INT64_MAX);
  const std::string event = row.text("event");
  row.expect(event == "intended", "event", "\"intended\"");
  change.generation = static_cast<uint64_t>(row.integer("generation", 0, kMaxGeneration));
  change.verb = row.prose("verb");
  const bool is_json = row.integer("json_valid(changes)", 0, 1) != 0;
  change.changes = row.prose("changes");
  row.expect(is_json, "changes", "JSON");
  change.reason = row.prose("reason");
  change.actor = read_actor(row);
  const auto revision = row.integer_or_null("revision", 0, kMaxGeneration);
  change.at_ms = row.integer("at_ms", 0, kMaxTimeMs);
  const std::optional<std::string> result = row.text_or_null("event of the result");
  change.result = result.value_or("pending");
  if (!result) return change;
  row.expect(is_outcome(*result), "event of the result", "an outcome such as \"done\"");
  if (revision && (*result == name_of(Outcome::kDone) || *result == name_of(Outcome::kAdoptionTimeout)))
    change.revision = static_cast<uint64_t>(*revision);
  change.finished_at_ms = row.integer("at_ms of the result", 0, kMaxTimeMs);
  change.duration_us = row.integer("duration_us of the result", 0, INT64_MAX);
  change.detail = row.prose("detail of the result");
  return change;
}

// Selects the changes that meet `conditions`, with `values` for its parameters.
template <typename... Values>
tl::expected<std::vector<HistoryRow>, std::string> read_changes(Database& database,
                                                                std::string_view conditions,
                                                                const Values&... values) {
  return database.attempt("read the history", [&](SQLite::Database& sqlite) {
    SQLite::Statement select(sqlite, select_changes(conditions));
    bind_all(select, values...);
    std::vector<HistoryRow> changes;
    while (select.executeStep()) {
      Row row(select, "history");
      changes.push_back(read_row(row));
    }
    return changes;
  });
}

OpenIntent read_open_intent(Row& row) {
  OpenIntent intent;
  intent.id = row.integer("id", 1, INT64_MAX);
  intent.generation = static_cast<uint64_t>(row.integer("generation", 0, kMaxGeneration));
  intent.verb = row.prose("verb");
  intent.changes = row.prose("changes");
  const std::optional<std::string> text = row.text_or_null("record");
  if (const auto revision = row.integer_or_null("revision", 0, kMaxGeneration))
    intent.revision = static_cast<uint64_t>(*revision);
  intent.reason = row.prose("reason");
  intent.actor = read_actor(row);
  intent.at_ms = row.integer("at_ms", 0, kMaxTimeMs);
  if (!text) return intent;
  auto record = parse_change_record(*text);
  if (!record) throw Damage(fmt::format("table history, row {}: record: {}", intent.id, record.error()));
  intent.record = std::move(*record);
  return intent;
}

}  // namespace

tl::expected<int64_t, std::string> State::intend(const Intent& intent, const Inventory* whole) {
  return db_->commit("record the intent", [&](SQLite::Database& sqlite) {
    if (whole != nullptr) write_inventory(sqlite, *whole);
    const int64_t id = add_intent(sqlite, intent);
    if (intent.lock) add_finish(sqlite, id, intent, Finish{.at_ms = intent.at_ms});
    return id;
  });
}

State::Done State::finish(int64_t intent, Outcome outcome, int64_t at_ms, int64_t duration_us,
                          const std::string& detail, const ChangeRecord& record) {
  Unrecorded change{.row = intent, .finish = Finish{outcome, at_ms, duration_us, detail, record}};
  const auto recorded = this->record({std::move(change)});
  if (!recorded) return tl::unexpected(recorded.error());
  return {};
}

tl::expected<std::vector<int64_t>, std::string> State::record(const std::vector<Unrecorded>& changes) {
  return db_->commit("record the result", [&](SQLite::Database& sqlite) {
    std::vector<int64_t> rows;
    for (const Unrecorded& change : changes) {
      if (change.inventory != nullptr) write_inventory(sqlite, *change.inventory);
      if (change.config != nullptr) write_good_config(sqlite, *change.config);
      if (change.takes_back) take_back(sqlite, *change.takes_back);
      rows.push_back(0);
      if (!change.finish) continue;
      rows.back() = change.row ? *change.row : add_intent(sqlite, change.intent);
      add_finish(sqlite, rows.back(), change.intent, *change.finish);
    }
    return rows;
  });
}

State::Done State::keep(const Copied& copied) {
  return db_->commit("keep a copy of the state", [&](SQLite::Database& sqlite) {
    if (copied.config) {
      write_inventory(sqlite, copied.inventory);
      write_good_config(sqlite, *copied.config);
    } else {
      write_change(sqlite, copied.change ? copied.change->record : ChangeRecord(), copied.inventory);
    }
    if (copied.others_are_recorded) forget_changes(sqlite);
    if (!copied.change) return;
    const Intent& change = *copied.change;
    if (!change.lock)
      add_intent(sqlite, change);
    else if (change.request)  // a lock is recorded before it is in force
      write_request(sqlite, *change.request, std::nullopt, change.at_ms);
  });
}

State::Done State::release_reserve() {
  return db_->commit("release the reserved generations", [&](SQLite::Database& sqlite) {
    sqlite.exec(
        "UPDATE meta SET value = (SELECT value FROM meta WHERE key = 'given_generation') "
        "WHERE key = 'reserved_generation'");
  });
}

State::Done State::name_actor(int64_t intent, const std::string& user) {
  return db_->commit("record the user's name", [&](SQLite::Database& sqlite) {
    SQLite::Statement add(
        sqlite, "INSERT OR IGNORE INTO actors SELECT id, ? FROM history WHERE id = ? AND user = ''");
    run(add, user, intent);
    SQLite::Statement name_lock(
        sqlite, "UPDATE lock SET user = ? WHERE user = '' AND uid = (SELECT uid FROM history WHERE id = ?)");
    run(name_lock, user, intent);
  });
}

tl::expected<std::vector<OpenIntent>, std::string> State::open_intents() {
  return db_->attempt("read the open intents", [&](SQLite::Database& sqlite) {
    SQLite::Statement select(
        sqlite, fmt::format("SELECT i.id, i.generation, i.verb, i.changes, i.record, i.revision, i.reason, "
                            "i.uid, COALESCE(a.user, i.user), i.actor, i.at_ms {} "
                            "AND r.id IS NULL ORDER BY i.id",
                            kIntents));
    std::vector<OpenIntent> intents;
    while (select.executeStep()) {
      Row row(select, "history");
      intents.push_back(read_open_intent(row));
    }
    return intents;
  });
}

tl::expected<std::vector<HistoryRow>, std::string> State::history(const HistoryQuery& query) {
  // Searching for the name in quotes skips most rows; parsing their JSON would cost ten times as much.
  constexpr const char* kOfService =
      "AND instr(i.changes, ?) AND CASE WHEN json_valid(i.changes) THEN EXISTS (SELECT 1 FROM "
      "json_tree(i.changes) WHERE key = 'service' AND atom = ?) END ";
  const std::string conditions =
      fmt::format("AND i.id < ? {}ORDER BY i.id DESC LIMIT ?", query.service ? kOfService : "");
  const int64_t before = query.before.value_or(INT64_MAX);
  if (!query.service) return read_changes(*db_, conditions, before, query.limit);
  return read_changes(*db_, conditions, before, "\"" + *query.service + "\"", *query.service, query.limit);
}

tl::expected<std::vector<HistoryRow>, std::string> State::changes_after(int64_t id, uint32_t limit) {
  return read_changes(*db_, "AND i.id > ? ORDER BY i.id LIMIT ?", id, limit);
}

State::Done State::forget_old(int64_t now_ms, KeptChanges kept) {
  return db_->commit("forget old changes", [&](SQLite::Database& sqlite) {
    const std::string nth_latest =
        "COALESCE((SELECT id FROM history WHERE intent IS NULL ORDER BY id DESC LIMIT 1 OFFSET {}), 0)";
    const std::string first_young =
        "COALESCE((SELECT id FROM history WHERE intent IS NULL AND at_ms >= {} ORDER BY id LIMIT 1), 0)";
    const std::string first_open =
        "COALESCE((SELECT min(id) FROM history AS i WHERE intent IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM history AS r WHERE r.intent = i.id)), 9223372036854775807)";
    sqlite.exec(fmt::format(
        fmt::runtime("UPDATE meta SET value = max(value, min(" + nth_latest + ", " + first_open + ", max(" +
                     first_young + ", " + nth_latest + "))) WHERE key = 'history_from'"),
        kept.least - 1, in_range(now_ms - kHistoryKeptMs, kMaxTimeMs), kept.most - 1));
    const std::string from = "(SELECT value FROM meta WHERE key = 'history_from')";
    for (const char* table : {"actors", "requests", "history"})
      sqlite.exec(fmt::format("DELETE FROM {} WHERE intent < {}", table, from));
    sqlite.exec(fmt::format("DELETE FROM history WHERE intent IS NULL AND id < {}", from));
  });
}

tl::expected<std::vector<HistoryRow>, std::string> State::published_since(uint64_t generation) {
  return read_changes(
      *db_,
      fmt::format("AND i.generation > ? AND {} AND i.verb IN ('flip', 'rollback', 'ramp', 'step', "
                  "'next', 'abort') ORDER BY i.generation DESC, i.id DESC",
                  kPublished),
      generation_in_range(generation));
}

// The time of the result counts: between the intent and the adoption, workers still go by the generation
// before.
tl::expected<std::optional<int64_t>, std::string> State::superseded_at_ms(uint64_t generation) {
  const auto changes =
      read_changes(*db_,
                   fmt::format("AND i.generation > ? AND {} AND {} ORDER BY i.generation, i.id LIMIT 1",
                               kPublished, kNoLock),
                   generation_in_range(generation));
  if (!changes) return tl::unexpected(changes.error());
  if (changes->empty()) return std::nullopt;
  return changes->front().finished_at_ms;
}

tl::expected<bool, std::string> State::knows_generation(uint64_t generation) {
  if (generation > kMaxGeneration) return false;
  const auto changes =
      read_changes(*db_, fmt::format("AND i.generation = ? AND {} AND {} LIMIT 1", kPublished, kNoLock),
                   generation_in_range(generation));
  if (!changes) return tl::unexpected(changes.error());
  return !changes->empty();
}

}  // namespace teal
