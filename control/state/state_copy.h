// SPDX-License-Identifier: Apache-2.0
//
// A copy of the state in the run directory, which is in memory. A start takes from it what neither the
// database nor the segment has: everything if the database cannot be read, and the changes that the disk did
// not take before teald was killed (control/change/recovery.h). The copy has the form of the database. Its
// history has only changes that are in force and whose results the database may lack. They are open intents.
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

  // Writes the copy on a thread. Without a config, only what a change without new ids sets is written, which
  // takes a tenth of the time. An error is logged: nothing depends on the copy while the database works.
  Task<void> save(Copied copied);
  bool is_whole() const { return is_whole_; }  // false: the latest attempt failed, so a config is needed
  // To be called before the io_context of the callers is destroyed.
  void join() { thread_.join(); }

  static bool exists(const std::string& run_dir);
  static Recorder::Recorded<Recorder::Stored> read(const std::string& run_dir);

 private:
  static std::string dir_in(const std::string& run_dir) { return run_dir + "/state.copy"; }
  State::Done write(const Copied& copied);
  State::Done open(uint64_t published_generation);
  void forget();

  const std::string dir_;
  bool is_whole_ = false;
  std::optional<State> state_;  // used on the thread only
  asio::thread_pool thread_{1};
};

}  // namespace teal
