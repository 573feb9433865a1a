// SPDX-License-Identifier: Apache-2.0
#include "control/state/journal.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "control/state/change_line.h"

namespace teal {

namespace {
constexpr const char* kTooLate = "the disk recorded this too late; the change had been refused";
}

Task<tl::expected<int64_t, std::string>> Journal::intend(Intent intent,
                                                         std::shared_ptr<const Inventory> whole) {
  if (const State::Done flushed = co_await flush(); !flushed) co_return tl::unexpected(flushed.error());
  const auto told = std::make_shared<const Intent>(intent);
  const bool with_inventory = whole != nullptr;
  std::function<void(tl::expected<int64_t, std::string>)> late = [this, told, with_inventory](auto row) {
    if (row) landed_late(*told, *row, with_inventory);
  };
  const auto row = co_await recorder_.intend(std::move(intent), std::move(whole), std::move(late));
  if (row)
    recorded_(*row, *told);
  else
    ++errors_;
  co_return row;
}

// A lock, and the inventory of a reload, are on the disk with their intent. A lock is taken back by another
// change, and the inventory is replaced by the one in force.
void Journal::landed_late(const Intent& intent, int64_t row, bool with_inventory) {
  spdlog::warn("{}", change_line(intent, kTooLate));
  // An unlock that was made without the disk since then.
  if (intent.lock && intent.lock->lock.has_value() == inventory_()->lock.has_value()) return late_();
  Unrecorded change{.row = row, .intent = intent};
  change.finish = Finish{.outcome = Outcome::kNotPublished, .at_ms = intent.at_ms, .detail = kTooLate};
  if (with_inventory) change.inventory = inventory_();
  if (intent.lock) {
    change.row.reset();
    change.takes_back = TakenBack{row, inventory_()->revision};
    change.intent.revision.reset();
    change.intent.verb = intent.lock->lock ? "unlock" : "lock";
    change.intent.reason = kTooLate;
    change.intent.actor = Actor::teald();
    change.intent.request.reset();
    change.intent.lock = LockChange{intent.lock->before, intent.lock->lock};
    change.finish->outcome = Outcome::kDone;
  }
  queue_.push_back(std::move(change));
  late_();
}

Task<State::Done> Journal::record(Unrecorded change) {
  queue_.push_back(std::move(change));
  co_return co_await flush();
}

Task<State::Done> Journal::flush() {
  if (queue_.empty()) co_return State::Done();
  auto changes = std::make_shared<const std::vector<Unrecorded>>(queue_.begin(), queue_.end());
  std::function<void(Recorder::Recorded<std::vector<int64_t>>)> late = [this, changes](const auto& rows) {
    if (rows) took(*changes, *rows);
  };
  const auto rows = co_await recorder_.record(changes, std::move(late));
  if (!rows) {
    failed(rows.error());
    co_return tl::unexpected(rows.error());
  }
  took(*changes, *rows);
  co_return State::Done();
}

void Journal::took(const std::vector<Unrecorded>& changes, const std::vector<int64_t>& rows) {
  const size_t taken = std::min(changes.size(), queue_.size());
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(taken));
  if (queue_.empty() && !why_.empty()) {
    spdlog::warn("the disk works again: every change is recorded");
    why_.clear();
  }
  for (size_t i = 0; i < changes.size(); ++i)
    if (changes[i].finish && !changes[i].row) recorded_(rows[i], changes[i].intent);
}

void Journal::failed(const std::string& why) {
  if (queue_.empty()) return;  // what failed has been recorded by a call that was given up
  if (why_.empty())
    spdlog::error("{} {} not recorded: {}", queue_.size(), queue_.size() == 1 ? "change is" : "changes are",
                  why);
  why_ = why;
  ++errors_;
}

void Journal::begin_with(std::vector<Unrecorded> changes) {
  queue_.insert(queue_.begin(), std::make_move_iterator(changes.begin()),
                std::make_move_iterator(changes.end()));
}

}  // namespace teal
