// SPDX-License-Identifier: Apache-2.0
#include "control/state/history_reader.h"

namespace teal {

// While the recorder cannot open the database, its attempts to do so must find the file free.
Task<State::Done> HistoryReader::open() {
  if (!recorder_.is_open()) co_return tl::unexpected(recorder_.why_closed());
  if (reader_.is_open()) co_return State::Done();
  const State::Done reopened = co_await reader_.reopen();
  if (!reopened) co_return tl::unexpected(reopened.error());
  const Recorded<Recorder::Stored> opened = reader_.take_over();
  if (!opened) co_return tl::unexpected(opened.error());
  co_return State::Done();
}

Task<HistoryReader::Recorded<std::vector<HistoryRow>>> HistoryReader::history(HistoryQuery query) {
  const State::Done opened = co_await open();
  if (!opened) co_return tl::unexpected(opened.error());
  co_return co_await reader_.history(std::move(query));
}

Task<HistoryReader::Recorded<std::optional<int64_t>>> HistoryReader::superseded_at_ms(uint64_t generation) {
  const State::Done opened = co_await open();
  if (!opened) co_return tl::unexpected(opened.error());
  co_return co_await reader_.superseded_at_ms(generation);
}

}  // namespace teal
