// SPDX-License-Identifier: Apache-2.0
//
// The events of teald, for `teal events` and for listeners within teald. The latest events are kept, so that
// a client whose connection broke misses none.
//
//   intended published adopted done failed       the steps of a change, with its generation
//   drained                                      the last flow of an idle colour has ended
//   drain_ended                                  a flip or a reload ended a drain that had flows left
//   retired                                      backends left the config, and flows hold their ids
//   released                                     no flow holds the ids of retired backends any longer
//   backends                                     next hops were resolved or lost
//   dataplane_up dataplane_down
//   health                                       backends went up or down
//   ejection                                     backends were ejected, or came back
//   pools                                        too few backends of pools are up, or enough again
//   prober_up prober_down                        teal-health reports, or has fallen silent
//   judged hook_failed locked unlocked reloaded
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
  // Grows by 1. A life of teald begins with the milliseconds since 1970, so ids grow over restarts, too.
  uint64_t id = 0;
  std::string type;
  std::string data;  // JSON object: "at" (RFC 3339), then the fields of the type
};

class Events {
 public:
  // The latest events are kept, up to this number and size. The latest event is always kept.
  static constexpr size_t kKept = 1024;
  static constexpr size_t kKeptBytes = 4 << 20;

  explicit Events(const Clock& clock)
      : clock_(clock), first_(static_cast<uint64_t>(clock.wall_ms())), next_id_(first_) {}

  // `fields` is a JSON object; "at" is put before its fields.
  void tell(std::string type, nlohmann::ordered_json fields = nlohmann::ordered_json::object());

  // The listener is called on teald's thread, before tell() returns: the step after the event has not begun.
  void listen(std::function<void(const ToldEvent&)> listener) { listeners_.push_back(std::move(listener)); }

  uint64_t latest() const { return next_id_ - 1; }

  // Returns the events after `id` that are still kept, oldest first.
  std::vector<ToldEvent> after(uint64_t id) const;
  // The id of the oldest event that after() can return.
  uint64_t oldest() const { return kept_.empty() ? next_id_ : kept_.front().id; }
  uint64_t first() const { return first_; }  // the id of the first event of this life

 private:
  const Clock& clock_;
  std::deque<ToldEvent> kept_;
  size_t kept_bytes_ = 0;
  const uint64_t first_;
  uint64_t next_id_;
  std::vector<std::function<void(const ToldEvent&)>> listeners_;
};

// One event that tells of many things does not push other events out, so a list in an event is at most so
// long.
inline constexpr size_t kNamedInEvent = 16;
// Returns {"count":200,NAME:["198.18.2.11:8080",...]} with the first names.
nlohmann::ordered_json counted_list(const char* name, const std::vector<std::string>& names);

}  // namespace teal
