// SPDX-License-Identifier: Apache-2.0
//
// A copy of the state in the run directory, which is in memory. A start that cannot read the database takes
// from it what the segment does not have: how flips are undone, the states of backends, the lock, and the
// config. The copy has the form of the database, without its history.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "control/loop/coroutine.h"
#include "control/state/recorder.h"

namespace teal {

class StateCopy {
 public:
  explicit StateCopy(const std::string& run_dir) : dir_(dir_in(run_dir)) {}

  // Write the copy on a thread: everything, or what a change without new ids sets, which takes a tenth of the
  // time. An error is logged: nothing depends on the copy while the database works.
  Task<void> save(Inventory inventory, std::string config);
  Task<void> save_change(ChangeRecord record, const Inventory& inventory);
  bool is_whole() const { return is_whole_; }  // false: the latest attempt failed, so save() is needed
  // To be called before the io_context of the callers is destroyed.
  void join() { thread_.join(); }

  static bool exists(const std::string& run_dir);
  static Recorder::Recorded<Recorder::Stored> read(const std::string& run_dir);

 private:
  static std::string dir_in(const std::string& run_dir) { return run_dir + "/state.copy"; }
  State::Done write(const Unrecorded& whole);
  State::Done write_change(const ChangeRecord& record, const Inventory& rest);
  State::Done open();
  void forget();
  Task<void> on_thread(std::function<State::Done()> work);

  const std::string dir_;
  bool is_whole_ = false;
  std::optional<State> state_;  // used on the thread only
  asio::thread_pool thread_{1};
};

}  // namespace teal
