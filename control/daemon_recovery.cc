// SPDX-License-Identifier: Apache-2.0
//
// Completes a start that refused the segment, or whose database took no writes.
//
//   the start refused the segment   every change is refused, so the state that the start has read stays as it
//                                   is. The turn that first finds a usable segment completes the start before
//                                   the turn publishes anything.
//   the database took no writes     every change but rollbacks, unlocks and upkeep is refused. Their results
//                                   wait in the journal. The start is completed when the database can be
//                                   opened.
#include <spdlog/spdlog.h>

#include "control/daemon_parts.h"

namespace teal {

namespace {

constexpr std::chrono::seconds kRecoverEvery(1);

}  // namespace

// The segment can be used now. `turn` has made no change since.
Task<void> Daemon::Parts::recover_with_segment(const ChangeExecutor::Turn& turn) {
  Recorder::Stored stored = std::move(*std::exchange(late.stored, std::nullopt));
  tl::expected<Recovered, std::string> recovered =
      recover(std::move(stored), *publisher, executor.catalogue().config(), clock);
  if (!recovered) {
    spdlog::error("teald goes on with the state that it started with: {}", recovered.error());
    co_return;
  }
  if (!recorder.is_open()) recovered->to_record.clear();  // recover_with_database() records everything
  spdlog::warn("the segment can be used: teald has its whole state again");
  co_await take(turn, std::move(*recovered));
  co_await executor.record_what_is_missing(turn);
}

// Reading a large file takes time, so the turn begins after that, and no rollback waits for the file. The
// snapshot stays valid: nothing is written to the database before take_over().
Task<void> Daemon::Parts::recover_with_database() {
  if (!late.needs_database || clock.now() < recover_next || !publisher->refused().empty()) co_return;
  recover_next = clock.now() + kRecoverEvery;
  const State::Done reopened = co_await recorder.reopen();
  if (!reopened) co_return;
  const ChangeExecutor::Turn turn = co_await executor.turn();
  if (!publisher->refused().empty()) co_return;
  Recorder::Recorded<Recorder::Stored> stored = recorder.take_over();
  if (!stored) co_return;
  if (late.copy) take_over_copy(*late.copy, *stored);
  tl::expected<Recovered, std::string> recovered =
      recover(std::move(*stored), *publisher, executor.catalogue().config(), clock);
  if (!recovered) {
    spdlog::error("cannot take over the database: {}", recovered.error());
    recorder.close(std::move(recovered.error()));
    co_return;
  }
  add_unrecorded(journal.unrecorded(), executor.catalogue().inventory(), *recovered);
  spdlog::warn("the database is read: teald has its whole state again");
  late.needs_database = false;
  late.copy.reset();
  co_await take(turn, std::move(*recovered));
  upkeep.publish_again();
}

Task<void> Daemon::Parts::take(const ChangeExecutor::Turn& turn, Recovered recovered) {
  executor.know(recovered.requests);
  journal.begin_with(std::move(recovered.to_record));
  Inventory inventory = std::move(recovered.inventory);
  co_await executor.replace(turn, std::move(inventory));
}

Task<void> Daemon::Parts::record_what_is_missing() {
  const ChangeExecutor::Turn turn = co_await executor.turn();
  co_await executor.record_what_is_missing(turn);
}

}  // namespace teal
