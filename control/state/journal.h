// SPDX-License-Identifier: Apache-2.0
//
// Records changes in the database while the disk may be full, fail or hang.
//
// A result that cannot be recorded is not lost: it waits in a queue, in the order of the changes, until
// flush() succeeds. An intent is recorded only when the queue is empty. So the database never has a change
// before the results of all changes before it.
//
// A commit that takes longer than the Recorder's limit counts as failed, and the caller goes on without it.
// If it lands all the same, the journal makes it good: a result leaves the queue, and an intent gets the
// result "not published", as its change was refused.
//
// One caller at a time: the change whose turn it is.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/state/recorder.h"

namespace teal {

class Journal {
 public:
  explicit Journal(Recorder& recorder) : recorder_(recorder) {}
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Records an intent, and saves the inventory `whole` (unless it is null) with it. Returns the intent's id.
  // After an error the change must not be made.
  Task<tl::expected<int64_t, std::string>> intend(Intent intent, std::shared_ptr<const Inventory> whole);
  // Records the end of a change, or an inventory. After an error, it is in the queue.
  Task<State::Done> record(Unrecorded change);
  // Tries again to record what is in the queue.
  Task<State::Done> flush();

  // After a failed commit: sees whether the disk works again.
  Task<State::Done> probe() { return recorder_.probe(); }

  // For requests that had nothing to change, and for repetitions of requests: see state.h.
  Task<State::Done> remember(CarriedOut request, int64_t at_ms) {
    return recorder_.remember(std::move(request), at_ms);
  }
  Task<Recorder::Recorded<std::optional<std::string>>> answer(std::string request) {
    return recorder_.answer(std::move(request));
  }

  // Puts the changes that a start records first into the queue.
  void begin_with(std::vector<Unrecorded> changes);

  const std::deque<Unrecorded>& unrecorded() const { return queue_; }
  // How many attempts to record something have failed.
  uint64_t errors() const { return errors_; }
  // Why the latest attempt failed; "" if the queue is empty.
  const std::string& why() const { return why_; }
  // Says why an intent would fail now; "": the disk works, as far as it is known.
  std::string trouble() const { return why_.empty() ? recorder_.trouble() : why_; }

  // `callback` is called when an intent has landed that had been given up. A flush() makes it good; a start
  // that comes before would take it for a change that was made.
  void on_landed_late(std::function<void()> callback) { late_ = std::move(callback); }
  // `callback` returns the inventory that is in force.
  void take_inventory_from(std::function<std::shared_ptr<const Inventory>()> callback) {
    inventory_ = std::move(callback);
  }
  // `callback` is called with each intent that was recorded, and its id.
  void on_recorded(std::function<void(int64_t id, const Intent& intent)> callback) {
    recorded_ = std::move(callback);
  }

 private:
  void landed_late(const Intent& intent, int64_t row, bool with_inventory);
  void took(const std::vector<Unrecorded>& changes, const std::vector<int64_t>& rows);
  void failed(const std::string& why);

  Recorder& recorder_;
  std::deque<Unrecorded> queue_;
  std::string why_;
  std::function<void()> late_ = [] {};
  std::function<std::shared_ptr<const Inventory>()> inventory_ = [] { return nullptr; };
  uint64_t errors_ = 0;
  std::function<void(int64_t, const Intent&)> recorded_ = [](int64_t, const Intent&) {};
};

}  // namespace teal
