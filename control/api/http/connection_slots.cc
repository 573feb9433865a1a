// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/connection_slots.h"

#include <algorithm>
#include <vector>

#include "control/api/http/connection.h"

namespace teal {

bool ConnectionSlots::make_free_slot() {
  if (connections_.size() < limits_.connections) return true;
  const auto longest = std::find_if(waiting_.begin(), waiting_.end(),
                                    [](const Connection* connection) { return connection->is_silent(); });
  if (longest == waiting_.end()) return false;
  (*longest)->give_up_slot();  // calls release()
  return true;
}

Task<void> ConnectionSlots::wait_for_slot(Clock::Time until) {
  co_await clock_.wait(slot_timer_, until);
}

void ConnectionSlots::release(Connection& connection) {
  if (connections_.erase(&connection) == 0) return;
  end_waiting(connection);
  on_slot_freed();
}

void ConnectionSlots::begin_waiting(Connection& connection) {
  waiting_.push_back(&connection);
  on_slot_freed();
}

void ConnectionSlots::end_waiting(Connection& connection) {
  waiting_.remove(&connection);  // at most a few hundred
}

bool ConnectionSlots::begin_stream() {
  if (streams_ >= limits_.streams) return false;
  ++streams_;
  return true;
}

bool ConnectionSlots::begin_unread(size_t bytes) {
  // A single answer may have any size: resources bound their answers themselves. Small answers are always
  // sent, because the answer of a change must arrive.
  constexpr size_t kSmall = 64 * 1024;
  if (bytes > kSmall && unread_bytes_ != 0 && unread_bytes_ + bytes > limits_.unread_bytes) return false;
  unread_bytes_ += bytes;
  return true;
}

void ConnectionSlots::close() {
  closed_ = true;
  slot_timer_.cancel();
  for (Connection* connection : std::vector<Connection*>(connections_.begin(), connections_.end()))
    connection->on_server_close();
}

}  // namespace teal
