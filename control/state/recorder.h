// SPDX-License-Identifier: Apache-2.0
//
// The event loop's access to the database (state.h). Each call runs on the disk's thread, so a slow disk
// delays only the change that waits for the disk.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/loop/coroutine.h"
#include "control/state/state.h"

namespace teal {

class Recorder {
 public:
  template <typename T>
  using Recorded = tl::expected<T, std::string>;

  Recorder(State& state, asio::thread_pool& disk) : state_(state), disk_(disk) {}

  // The name of a user, "" if the system has none. The lookup may ask a directory over the network, so it
  // runs on the disk's thread too.
  Task<std::string> user_name(uint32_t uid);

  // Fills in the actor's user name.
  Task<Recorded<int64_t>> intend(Intent intent, std::shared_ptr<const Inventory> whole);
  Task<State::Done> finish(int64_t intent, Outcome outcome, int64_t at_ms, int64_t duration_us,
                           std::string detail, ChangeRecord record);
  Task<State::Done> save(Inventory inventory);
  Task<Recorded<std::vector<HistoryRow>>> history(HistoryQuery query);
  Task<Recorded<std::optional<int64_t>>> superseded_at_ms(uint64_t generation);
  // The changes of the flips and rollbacks since `generation`, newest first, as the history shows them.
  // Nothing: the history has no such generation.
  Task<Recorded<std::optional<std::vector<std::string>>>> flips_since(uint64_t generation);
  // Runs other work on the disk's thread.
  template <typename Work>
  auto run(Work work) {
    return run_on(disk_, std::move(work));
  }

 private:
  State& state_;
  asio::thread_pool& disk_;
};

}  // namespace teal
