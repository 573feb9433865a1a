// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/state/recorder.h"

namespace teal {

// Reads the history by a thread and a connection of its own. A read may take seconds, and a change that had
// to wait behind it would exceed the time limit of a commit.
class HistoryReader {
 public:
  template <typename T>
  using Recorded = Recorder::Recorded<T>;

  // `recorder` outlives this. The reader opens the database at the first read.
  HistoryReader(const Recorder& recorder, std::string state_dir, Recorder::Limits limits)
      : recorder_(recorder), reader_(std::move(state_dir), thread_, limits, Recorder::Role::kReader) {}

  Task<Recorded<std::vector<HistoryRow>>> history(HistoryQuery query);
  Task<Recorded<std::optional<int64_t>>> superseded_at_ms(uint64_t generation);

  // A read that has not returned. Then the thread cannot be joined.
  bool hangs() const { return reader_.hangs_since().has_value(); }
  // Ends the thread after the read under way; others are not made. To be called before the io_context of the
  // callers is destroyed.
  void join() {
    thread_.stop();
    thread_.join();
  }

 private:
  Task<State::Done> open();

  const Recorder& recorder_;
  asio::thread_pool thread_{1};
  Recorder reader_;
};

}  // namespace teal
