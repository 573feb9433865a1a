// SPDX-License-Identifier: Apache-2.0
//
// A lane is what the reads of one kind of client share: places, and a thread that reads the history.
// Operators on control.sock have a lane, and readers on status.sock and on the loopback listener have another
// one. So no reader keeps an operator waiting.
//
// All sockets share one event loop, so a lane also bounds what its reads take of one round of the loop. At
// most kAtOnce long reads and kAtOnce short reads make a step in a round, however many clients ask.
#pragma once

#include "control/loop/semaphore.h"
#include "control/state/history_reader.h"

namespace teal {

class Lane {
 public:
  static constexpr uint32_t kAtOnce = 4;

  Lane(const Recorder& recorder, std::string state_dir, Recorder::Limits limits)
      : history(recorder, std::move(state_dir), limits) {}

  // Returns when the read may begin; the permit is its place. A long read scans the flow table or takes
  // megabytes, and yields to the event loop by itself: 100 at once would take 100 times the memory and be
  // ready no sooner. A short read is made in one step.
  Task<Semaphore::Permit> enter(bool is_long) {
    Semaphore& places = is_long ? long_ : short_;
    Semaphore::Permit permit = co_await places.acquire();
    if (!is_long) co_await yield_to_loop();
    co_return permit;
  }

  // To be called before the io_context is destroyed with coroutines still in it.
  void abandon() {
    long_.abandon();
    short_.abandon();
  }

  HistoryReader history;

 private:
  Semaphore long_{kAtOnce}, short_{kAtOnce};
};

}  // namespace teal
