// SPDX-License-Identifier: Apache-2.0
//
// teald's events as server-sent events. Each client has its own position in the stream of events.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "control/api/http/response.h"
#include "control/loop/events.h"

namespace teal {

class EventFeed {
 public:
  // A piece of the stream ends with the event that reaches this size.
  static constexpr size_t kPieceBytes = 64 * 1024;

  explicit EventFeed(Events& events);
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  // Returns a source of the events after `id`, or of new events if no id is given; 0: of all events of this
  // life of teald. If teald does not have all events after `id`, the stream begins with the event "lost".
  std::shared_ptr<EventSource> subscribe(std::optional<uint64_t> id);

 private:
  class Subscriber;

  Events& events_;
  std::unordered_map<const Subscriber*, std::function<void()>> subscribers_;
};

}  // namespace teal
