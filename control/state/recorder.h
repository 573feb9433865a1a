// SPDX-License-Identifier: Apache-2.0
//
// The database (state.h) as the event loop sees it: each call runs on the disk's thread, so that a slow disk
// delays the change that waits for it and nothing else.
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

  // The actor's user name is looked up here: that may ask a directory over the network.
  Task<Recorded<int64_t>> intend(Intent intent, std::shared_ptr<const Inventory> whole);
  Task<State::Done> finish(int64_t intent, Outcome outcome, int64_t duration_us, std::string detail,
                           std::vector<ServiceState> services, std::vector<BackendState> backends);
  // Gives the lock its user name, and returns it.
  Task<Recorded<std::optional<ChangeLock>>> record_lock(Intent intent, std::optional<ChangeLock> lock);
  Task<State::Done> save(Inventory inventory);
  Task<Recorded<std::vector<HistoryRow>>> history(HistoryQuery query);
  Task<Recorded<std::optional<int64_t>>> superseded_at_ms(uint64_t generation);
  // The histories' changes of flips and rollbacks since; nothing: no such generation is known.
  Task<Recorded<std::optional<std::vector<std::string>>>> flips_since(uint64_t generation);
  // Any other work on the disk's thread.
  template <typename Work>
  auto run(Work work) {
    return run_on(disk_, std::move(work));
  }

 private:
  State& state_;
  asio::thread_pool& disk_;
};

}  // namespace teal
