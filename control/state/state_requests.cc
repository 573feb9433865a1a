// SPDX-License-Identifier: Apache-2.0
//
// The methods of State (state.h) that keep the requests which were carried out, for their repetitions.
#include "control/state/database.h"
#include "control/state/limits.h"
#include "control/state/state.h"
#include "control/state/state_tables.h"

namespace teal {

void write_request(SQLite::Database& sqlite, const CarriedOut& request, std::optional<int64_t> intent,
                   int64_t at_ms) {
  SQLite::Statement forget(sqlite, "DELETE FROM requests WHERE at_ms < ?");
  run(forget, in_range(at_ms - State::kRequestsKeptMs, kMaxTimeMs));
  SQLite::Statement bound(sqlite,
                          "DELETE FROM requests WHERE at_ms <= (SELECT at_ms FROM requests ORDER BY at_ms "
                          "DESC LIMIT 1 OFFSET ?)");
  run(bound, State::kRequestsKept - 1);
  SQLite::Statement add(
      sqlite, "INSERT OR REPLACE INTO requests (id, intent, content, at_ms, answer) VALUES (?, ?, ?, ?, ?)");
  run(add, request.id, intent, static_cast<int64_t>(request.content), in_range(at_ms, kMaxTimeMs),
      request.answer);
}

void forget_request(SQLite::Database& sqlite, int64_t intent) {
  SQLite::Statement forget(sqlite, "DELETE FROM requests WHERE intent = ?");
  run(forget, intent);
}

tl::expected<std::vector<KnownRequest>, std::string> State::requests(bool with_answers) {
  return db_->attempt("read the requests", [&](SQLite::Database& sqlite) {
    SQLite::Statement select(
        sqlite, with_answers ? "SELECT id, intent, content, at_ms, answer FROM requests ORDER BY at_ms"
                             : "SELECT id, intent, content, at_ms FROM requests ORDER BY at_ms");
    std::vector<KnownRequest> requests;
    while (select.executeStep()) {
      Row row(select, "requests");
      KnownRequest request;
      request.id = row.text("id");
      request.intent = row.integer_or_null("intent", 1, INT64_MAX);
      request.content = static_cast<uint64_t>(row.integer("content", INT64_MIN, INT64_MAX));
      request.at_ms = row.integer("at_ms", 0, kMaxTimeMs);
      if (with_answers) request.answer = row.prose("answer");
      requests.push_back(std::move(request));
    }
    return requests;
  });
}

tl::expected<std::optional<std::string>, std::string> State::answer(const std::string& request) {
  return db_->attempt("read the answer", [&](SQLite::Database& sqlite) -> std::optional<std::string> {
    SQLite::Statement select(sqlite, "SELECT id, json_valid(answer), answer FROM requests WHERE id = ?");
    select.bind(1, request);
    if (!select.executeStep()) return std::nullopt;
    Row row(select, "requests");
    row.text("id");
    const bool is_json = row.integer("json_valid(answer)", 0, 1) != 0;
    std::string answer = row.prose("answer");
    row.expect(is_json, "answer", "JSON");
    return answer;
  });
}

State::Done State::remember(const CarriedOut& request, int64_t at_ms) {
  return db_->commit("record the request",
                     [&](SQLite::Database& sqlite) { write_request(sqlite, request, std::nullopt, at_ms); });
}

}  // namespace teal
