// SPDX-License-Identifier: Apache-2.0
//
// Who is connected to a server, and who must go when it is full.
//
// ConnectionSlots are not kept for anybody: whoever waits longest for a request of its own (idle, or one byte
// a second) gives its place to who comes new. So neither a script that leaks connections nor one that opens
// 1,000 keeps an operator out; keeping places for some user would not help, as those scripts are the same
// user's. Who has sent something that was not read yet, or is being served, stays. If all are being served,
// a new one waits a moment in the kernel's backlog, then it is told. The last few places are for changes: a
// GET is refused there, so that a flip is taken while long reads go on.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_set>

#include "control/api/http/limits.h"
#include "control/loop/coroutine.h"

namespace teal {

class Connection;

class ConnectionSlots {
 public:
  ConnectionSlots(asio::any_io_executor executor, const ServerLimits& limits, bool takes_changes)
      : limits_(limits), takes_changes_(takes_changes), room_(executor) {}

  // Is there a place, or can one be made?
  bool make_room();
  // Since when no place has come free, and none could be made.
  std::chrono::steady_clock::time_point stuck_since() const { return moved_at_; }
  // Until there may be one, or `until`.
  Task<void> wait_for_room(std::chrono::steady_clock::time_point until);
  size_t taken() const { return connections_.size(); }

  void enter(Connection& connection) { connections_.insert(&connection); }
  void leave(Connection& connection);

  // A connection between two requests or in the middle of one; it is at the end of those who wait.
  void begin_waiting(Connection& connection);
  void end_waiting(Connection& connection);

  void begin_serving() { ++serving_; }
  void end_serving() {
    --serving_;
    tell_of_room();
  }
  bool only_changes() const { return takes_changes_ && serving_ + limits_.for_changes > limits_.connections; }

  bool begin_stream();  // false: there are enough
  void end_stream() { --streams_; }

  // Answers that clients have not taken yet. False: there are too many bytes of them.
  bool begin_unread(size_t bytes);
  void end_unread(size_t bytes) { unread_bytes_ -= bytes; }

  // The server's end: those who wait are sent away, streams end, the others get their answer.
  void close();
  bool closed() const { return closed_; }

 private:
  void tell_of_room() {
    moved_at_ = std::chrono::steady_clock::now();
    if (!closed_) room_.cancel();
  }

  const ServerLimits limits_;
  const bool takes_changes_;
  std::unordered_set<Connection*> connections_;
  std::list<Connection*> waiting_;  // the longest first
  asio::steady_timer room_;         // cancelled when there may be some
  std::chrono::steady_clock::time_point moved_at_;
  uint32_t serving_ = 0;
  uint32_t streams_ = 0;
  size_t unread_bytes_ = 0;
  bool closed_ = false;
};

}  // namespace teal
