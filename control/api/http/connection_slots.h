// SPDX-License-Identifier: Apache-2.0
//
// The connections of a server. Each takes a slot, and the number of slots is limited.
//
// If all slots are taken, a new client gets the slot of the connection that has waited longest for a complete
// request from its client. Such a client is idle, or sends a byte now and then. So no script keeps operators
// out, whether it leaks connections or opens 1,000. (Slots reserved for a user would not help: such
// scripts run as the operator's user.) A connection keeps its slot if its request is being served or if the
// client has sent bytes that are unread.
//
// If requests are being served on all slots, the new client waits for a moment in the kernel's backlog and is
// then refused. The last few slots are reserved for changes: a GET is refused there, so that a flip gets
// through during long reads.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_set>

#include "control/api/http/limits.h"
#include "control/loop/clock.h"

namespace teal {

class Connection;

class ConnectionSlots {
 public:
  ConnectionSlots(asio::any_io_executor executor, const Clock& clock, const ServerLimits& limits,
                  bool takes_changes)
      : clock_(clock), limits_(limits), takes_changes_(takes_changes), slot_timer_(executor) {}

  // Returns true if a slot is free. If none is, closes the silent connection that has waited longest, to free
  // its slot. Returns false if no connection is silent.
  bool make_free_slot();
  // Returns when a slot last became free, or a connection last began to wait for a request. While
  // make_free_slot() fails, requests have been served on all slots since then.
  Clock::Time full_since() const { return freed_at_; }
  // Returns when a slot may have become free, at the latest at `until`.
  Task<void> wait_for_slot(Clock::Time until);

  void take(Connection& connection) { connections_.insert(&connection); }
  void release(Connection& connection);

  // The connection waits for a complete request. It becomes the last of the waiting connections.
  void begin_waiting(Connection& connection);
  void end_waiting(Connection& connection);

  void begin_serving() { ++serving_; }
  void end_serving() {
    --serving_;
    on_slot_freed();
  }
  // True if only the slots that are reserved for changes are left.
  bool only_reserved_left() const {
    return takes_changes_ && serving_ + limits_.reserved_for_changes > limits_.connections;
  }

  bool begin_stream();  // returns false if the server has its limit of streams
  void end_stream() { --streams_; }

  // Counts the bytes of an answer that a client has yet to read. Returns false if the sum would exceed the
  // limit.
  bool begin_unread(size_t bytes);
  void end_unread(size_t bytes) { unread_bytes_ -= bytes; }

  // The server ends: closes waiting connections and ends streams. Requests under way still get their answers.
  void close();
  bool closed() const { return closed_; }

 private:
  void on_slot_freed() {
    freed_at_ = clock_.now();
    if (!closed_) slot_timer_.cancel();
  }

  const Clock& clock_;
  const ServerLimits limits_;
  const bool takes_changes_;
  std::unordered_set<Connection*> connections_;
  std::list<Connection*> waiting_;  // in the order in which they began to wait
  asio::steady_timer slot_timer_;   // cancelled when a slot may have become free
  Clock::Time freed_at_;
  uint32_t serving_ = 0;
  uint32_t streams_ = 0;
  size_t unread_bytes_ = 0;
  bool closed_ = false;
};

}  // namespace teal
