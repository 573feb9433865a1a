// SPDX-License-Identifier: Apache-2.0
//
// teald's events as server-sent events: one text for each client, from where that client is.
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
  static constexpr size_t kPieceBytes = 64 * 1024;  // of events told at once, and then one more at most

  explicit EventFeed(Events& events);
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  // Events after `id`; without one, from now on. Where some of them are not kept any more, or `id` is of an
  // earlier teald, the stream begins with the event "lost".
  std::shared_ptr<EventSource> follow(std::optional<uint64_t> id);

 private:
  class Follower;

  Events& events_;
  std::unordered_map<const Follower*, std::function<void()>> followers_;
};

}  // namespace teal
