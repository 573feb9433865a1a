// SPDX-License-Identifier: Apache-2.0
//
// The events of teald, for `teal events` and for listeners within teald. The latest events are kept, so that
// a client whose connection broke misses none.
//
//   intended published adopted done failed       the steps of a change, with its generation
//   drained                                      the last flow of an idle colour has ended
//   retired                                      a backend left the config, and flows hold its id
//   released                                     no flow holds the id of a retired backend any longer
//   backend                                      a next hop was resolved or lost
//   dataplane_up dataplane_down
//   locked unlocked reloaded
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/loop/clock.h"

namespace teal {

struct ToldEvent {
  uint64_t id = 0;  // counts from 1 within a life of teald
  std::string type;
  std::string data;  // JSON object: "at" (RFC 3339), then the fields of the type
};

class Events {
 public:
  static constexpr size_t kKept = 1024;

  explicit Events(const Clock& clock) : clock_(clock) {}

  // `fields` is a JSON object; "at" is put before its fields.
  void tell(std::string type, nlohmann::ordered_json fields = nlohmann::ordered_json::object());

  // The listener is called on teald's thread, before tell() returns: the step after the event has not begun.
  void listen(std::function<void(const ToldEvent&)> listener) { listeners_.push_back(std::move(listener)); }

  uint64_t latest() const { return next_id_ - 1; }

  // Returns the events after `id` that are still kept, oldest first.
  std::vector<ToldEvent> after(uint64_t id) const;
  // The id of the oldest event that after() can return.
  uint64_t oldest() const { return kept_.empty() ? next_id_ : kept_.front().id; }

 private:
  const Clock& clock_;
  std::deque<ToldEvent> kept_;
  uint64_t next_id_ = 1;
  std::vector<std::function<void(const ToldEvent&)>> listeners_;
};

}  // namespace teal
