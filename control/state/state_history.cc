// SPDX-License-Identifier: Apache-2.0
//
// The history's part of state.h.
#include "control/state/state.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "control/state/database.h"
#include "control/state/state_tables.h"

namespace teal {

namespace {

using Done = State::Done;

int64_t wall_clock_ms() {
  using namespace std::chrono;
  return in_range(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count(), kMaxTimeMs);
}

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

bool was_published(Outcome outcome) {
  return outcome == Outcome::kDone || outcome == Outcome::kAdoptionTimeout;
}

// i: intents, r: their results.
constexpr std::string_view kChanges =
    "SELECT i.id, i.event, i.generation, i.verb, json_valid(i.changes), i.changes, i.reason, i.uid, i.user, "
    "i.at_ms, r.event, r.at_ms, r.duration_us, r.detail "
    "FROM history AS i LEFT JOIN history AS r ON r.intent = i.id WHERE i.intent IS NULL";
constexpr std::string_view kPublished = "r.event IN ('done', 'adoption_timeout')";
constexpr std::string_view kNoLock = "i.verb NOT IN ('lock', 'unlock')";  // theirs is another's generation

tl::expected<int64_t, std::string> add_intent(Database& database, const Intent& intent) {
  Statement add(database,
                "INSERT INTO history (at_ms, generation, event, verb, changes, reason, uid, user) "
                "VALUES (?, ?, 'intended', ?, ?, ?, ?, ?)");
  add.bind(wall_clock_ms()).bind(generation_in_range(intent.generation)).bind(intent.verb);
  add.bind(intent.changes.empty() ? std::string("[]") : intent.changes);
  add.bind(intent.reason).bind(intent.actor.uid).bind(intent.actor.user);
  if (!add.run()) return tl::unexpected(database.failed("record the intent"));
  return database.last_id();
}

Done add_result(Database& database, int64_t intent, Outcome outcome, int64_t duration_us,
                const std::string& detail) {
  Statement add(database,
                "INSERT INTO history (intent, at_ms, generation, event, verb, duration_us, detail) "
                "SELECT id, ?, generation, ?, verb, ?, ? FROM history WHERE id = ?");
  add.bind(wall_clock_ms()).bind(std::string(name_of(outcome))).bind(std::max<int64_t>(duration_us, 0));
  if (!add.bind(detail).bind(intent).run()) return tl::unexpected(database.failed("record the result"));
  if (database.changed_rows() == 1) return {};
  return tl::unexpected(
      fmt::format("{}: cannot record the result: there is no intent {}", database.path(), intent));
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
  change.uid = static_cast<uint32_t>(row.integer("uid", 0, UINT32_MAX));
  change.user = row.prose("user");
  change.at_ms = row.integer("at_ms", 0, kMaxTimeMs);
  const std::optional<std::string> result = row.text_or_null("event of the result");
  change.result = result.value_or("pending");
  if (!result) return change;
  row.expect(is_outcome(*result), "event of the result", "an outcome such as \"done\"");
  change.finished_at_ms = row.integer("at_ms of the result", 0, kMaxTimeMs);
  change.duration_us = row.integer("duration_us of the result", 0, INT64_MAX);
  change.detail = row.prose("detail of the result");
  return change;
}

tl::expected<std::vector<HistoryRow>, std::string> read_changes(const Database& database, Statement& select) {
  std::vector<HistoryRow> changes;
  while (select.row()) {
    Row row(database, select, "history");
    changes.push_back(read_row(row));
    if (!row.fine()) return tl::unexpected(row.done().error());
  }
  if (!select.complete()) return tl::unexpected(database.failed("read the history"));
  return changes;
}

}  // namespace

tl::expected<int64_t, std::string> State::intend(const Intent& intent, const Inventory* whole) {
  Transaction transaction(*db_);
  if (!transaction.begun()) return tl::unexpected(transaction.begun().error());
  const auto id = add_intent(*db_, intent);
  if (!id) return id;
  if (Done done = raise_generation(*db_, "given_generation", intent.generation); !done)
    return tl::unexpected(done.error());
  if (whole != nullptr) {
    if (Done done = write_inventory(*db_, *whole); !done) return tl::unexpected(done.error());
  }
  if (Done done = transaction.commit(); !done) return tl::unexpected(done.error());
  return id;
}

State::Done State::finish(int64_t intent, Outcome outcome, int64_t duration_us, const std::string& detail,
                          std::span<const ServiceState> services, std::span<const BackendState> backends) {
  Transaction transaction(*db_);
  if (!transaction.begun()) return transaction.begun();
  if (Done done = add_result(*db_, intent, outcome, duration_us, detail); !done) return done;
  if (was_published(outcome)) {
    if (Done done = write_changed(*db_, services, backends); !done) return done;
    Statement raise(*db_,
                    "UPDATE meta SET value = max(value, (SELECT generation FROM history WHERE id = ?)) "
                    "WHERE key = 'published_generation'");
    if (!raise.bind(intent).run()) return tl::unexpected(db_->failed("record the generation"));
  }
  return transaction.commit();
}

State::Done State::record_lock(const Intent& intent, const std::optional<ChangeLock>& lock) {
  Transaction transaction(*db_);
  if (!transaction.begun()) return transaction.begun();
  const auto id = add_intent(*db_, intent);
  if (!id) return tl::unexpected(id.error());
  if (Done done = add_result(*db_, *id, Outcome::kDone, 0, ""); !done) return done;
  if (Done done = write_lock(*db_, lock); !done) return done;
  return transaction.commit();
}

tl::expected<std::vector<OpenIntent>, std::string> State::open_intents() {
  Statement select(*db_, fmt::format("{} AND r.id IS NULL ORDER BY i.id", kChanges));
  auto changes = read_changes(*db_, select);
  if (!changes) return tl::unexpected(changes.error());
  std::vector<OpenIntent> intents;
  for (HistoryRow& change : *changes)
    intents.push_back({change.id, change.generation, std::move(change.verb), std::move(change.changes)});
  return intents;
}

tl::expected<std::vector<HistoryRow>, std::string> State::history(const HistoryQuery& query) {
  std::string sql(kChanges);
  if (query.before) sql += " AND i.id < ?";
  // Most rows are passed over by looking for the name in quotes; reading JSON costs ten times as much.
  if (query.service)
    sql +=
        " AND instr(i.changes, ?) AND CASE WHEN json_valid(i.changes) THEN EXISTS (SELECT 1 FROM "
        "json_tree(i.changes) WHERE key = 'service' AND atom = ?) END";
  sql += " ORDER BY i.id DESC LIMIT ?";
  Statement select(*db_, sql);
  if (query.before) select.bind(*query.before);
  if (query.service) select.bind("\"" + *query.service + "\"").bind(*query.service);
  select.bind(query.limit);
  return read_changes(*db_, select);
}

tl::expected<std::vector<HistoryRow>, std::string> State::published_since(uint64_t generation) {
  Statement select(*db_, fmt::format("{} AND i.generation > ? AND {} AND i.verb IN ('flip', 'rollback') "
                                     "ORDER BY i.generation DESC, i.id DESC",
                                     kChanges, kPublished));
  select.bind(generation_in_range(generation));
  return read_changes(*db_, select);
}

// By its result: between the intent and the adoption, workers still go by the generation before.
tl::expected<std::optional<int64_t>, std::string> State::superseded_at_ms(uint64_t generation) {
  Statement select(
      *db_, fmt::format("{} AND i.generation > ? AND {} AND {} ORDER BY i.generation, i.id LIMIT 1", kChanges,
                        kPublished, kNoLock));
  select.bind(generation_in_range(generation));
  const auto changes = read_changes(*db_, select);
  if (!changes) return tl::unexpected(changes.error());
  if (changes->empty()) return std::nullopt;
  return changes->front().finished_at_ms;
}

tl::expected<bool, std::string> State::knows_generation(uint64_t generation) {
  if (generation > kMaxGeneration) return false;
  Statement select(
      *db_, fmt::format("{} AND i.generation = ? AND {} AND {} LIMIT 1", kChanges, kPublished, kNoLock));
  select.bind(generation_in_range(generation));
  const auto changes = read_changes(*db_, select);
  if (!changes) return tl::unexpected(changes.error());
  return !changes->empty();
}

}  // namespace teal
