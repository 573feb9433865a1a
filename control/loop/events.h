// SPDX-License-Identifier: Apache-2.0
//
// What happens in teald, as it happens: for `teal events`, and for whoever else looks on. The latest events
// are kept, so that a client that was cut off goes on where it was.
//
//   intended published adopted done failed       a change, by its generation
//   drained                                      the last flow of the colour that a flip left has ended
//   retired released                             what left the config but is held by flows; its id is free
//   backend                                      a next hop was resolved or lost
//   dataplane_up dataplane_down
//   locked unlocked reloaded
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/loop/coroutine.h"

namespace teal {

struct ToldEvent {
  uint64_t id = 0;  // counts from 1 within a life of teald
  std::string type;
  std::string data;  // JSON object: at (RFC 3339), and what the type tells
};

class Events {
 public:
  static constexpr size_t kKept = 1024;

  // `fields` is a JSON object; "at" is put before them.
  void tell(std::string type, nlohmann::ordered_json fields = nlohmann::ordered_json::object());

  // Synchronous, on teald's thread, before anything that follows the event is done.
  void listen(std::function<void(const ToldEvent&)> listener) { listeners_.push_back(std::move(listener)); }

  uint64_t latest() const { return next_id_ - 1; }

  // Events after `id` that are still kept, oldest first; comes back empty after `patience` without one.
  Task<std::vector<ToldEvent>> after(uint64_t id, std::chrono::steady_clock::duration patience);
  // The oldest that after() can still give.
  uint64_t oldest() const { return kept_.empty() ? next_id_ : kept_.front().id; }

  // Before the io_context is destroyed with coroutines in after().
  void abandon() { waiting_.clear(); }

 private:
  std::deque<ToldEvent> kept_;
  uint64_t next_id_ = 1;
  std::vector<std::function<void(const ToldEvent&)>> listeners_;
  std::vector<asio::steady_timer*> waiting_;
};

}  // namespace teal
