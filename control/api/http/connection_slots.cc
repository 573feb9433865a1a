// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/connection_slots.h"

#include <algorithm>
#include <vector>

#include "control/api/http/connection.h"

namespace teal {

bool ConnectionSlots::make_room() {
  if (connections_.size() < limits_.connections) return true;
  const auto longest = std::find_if(waiting_.begin(), waiting_.end(),
                                    [](const Connection* connection) { return connection->is_mute(); });
  if (longest == waiting_.end()) return false;
  (*longest)->give_up_place();  // which leaves
  return true;
}

Task<void> ConnectionSlots::wait_for_room(std::chrono::steady_clock::time_point until) {
  room_.expires_at(until);
  boost::system::error_code told;
  co_await room_.async_wait(asio::redirect_error(asio::use_awaitable, told));
}

void ConnectionSlots::leave(Connection& connection) {
  if (connections_.erase(&connection) == 0) return;
  end_waiting(connection);
  tell_of_room();
}

void ConnectionSlots::begin_waiting(Connection& connection) {
  waiting_.push_back(&connection);
  tell_of_room();
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
  // A single one of any size goes: it is bounded by what there is to tell.
  if (unread_bytes_ != 0 && unread_bytes_ + bytes > limits_.unread_bytes) return false;
  unread_bytes_ += bytes;
  return true;
}

void ConnectionSlots::close() {
  closed_ = true;
  room_.cancel();
  for (Connection* connection : std::vector<Connection*>(connections_.begin(), connections_.end()))
    connection->server_closes();
}

}  // namespace teal
