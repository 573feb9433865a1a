// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/history?service=&limit=&before=
#include <fmt/format.h>

#include "control/api/resources/fields.h"
#include "control/api/resources/router.h"
#include "control/api/resources/service_view.h"
#include "control/loop/wall_clock.h"

namespace teal {

namespace {

constexpr uint64_t kDefaultHistoryLimit = 50;
constexpr uint64_t kMaxHistoryLimit = 1000;
constexpr uint32_t kRowsAtOnce = 20;  // the row of a change of 1,024 services has 60 KB
constexpr size_t kMaxAnswerBytes =
    4 << 20;  // a longer answer is truncated; clients get the rest with before=

Json to_json(const HistoryRow& row) {
  Json changes = Json::parse(row.changes, nullptr, false);
  if (!changes.is_array()) changes = Json::array();
  return {{"id", row.id},
          {"generation", row.generation},
          {"revision", row.revision ? Json(*row.revision) : Json(nullptr)},
          {"verb", row.verb},
          {"changes", std::move(changes)},
          {"reason", row.reason},
          {"uid", row.actor.is_teald() ? Json(nullptr) : Json(row.actor.uid)},
          {"user", row.actor.user},
          {"by_root", row.actor.by_root()},
          {"at", rfc3339(row.at_ms)},
          {"result", row.result},
          {"finished_at", time_or_null(row.finished_at_ms)},
          {"duration_us", row.duration_us},
          {"detail", row.detail}};
}

tl::expected<HistoryQuery, Refusal> read_query(const Request& request) {
  HistoryQuery query;
  query.service = query_value(request, "service");
  const auto limit = query_number(request, "limit", 1, kMaxHistoryLimit);
  if (!limit) return tl::unexpected(limit.error());
  query.limit = static_cast<uint32_t>(limit->value_or(kDefaultHistoryLimit));
  const auto before = query_number(request, "before", 0, INT64_MAX);
  if (!before) return tl::unexpected(before.error());
  if (*before) query.before = static_cast<int64_t>(**before);
  return query;
}

}  // namespace

Task<Answer> show_history(Api& api, const Request& request) {
  auto query = read_query(request);
  if (!query) co_return tl::unexpected(query.error());
  const uint32_t limit = query->limit;
  std::string text;
  uint32_t shown = 0;
  bool truncated = false;
  while (!truncated) {
    query->limit =
        std::min(kRowsAtOnce, limit - shown + 1);  // one row more shows whether the answer is truncated
    const auto rows = co_await api.lane_of(request).history.history(*query);
    if (!rows) co_return tl::unexpected(Refusal{503, "storage", rows.error(), ""});
    for (const HistoryRow& row : *rows) {
      truncated = shown == limit || text.size() > kMaxAnswerBytes;
      if (truncated) break;
      append(text, to_json(row));
      ++shown;
      query->before = row.id;
    }
    if (rows->size() < query->limit) break;
  }
  if (shown == 0 && query->service && api.executor.catalogue().find(*query->service) == nullptr)
    co_return tl::unexpected(no_such_service(api, *query->service));
  co_return Response(fmt::format("{{\"changes\":[{}],\"truncated\":{}}}\n", text, truncated));
}

}  // namespace teal
