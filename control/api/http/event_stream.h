// SPDX-License-Identifier: Apache-2.0
//
// Server-sent events on a connection: what the source has, as fast as the client takes it, and a comment now
// and then, so that both ends know of each other. It ends with the client, with the server, or when the
// client takes nothing for the time it has to.
#pragma once

#include <memory>

#include "control/api/http/connection.h"
#include "control/api/http/response.h"

namespace teal {

class EventStream {
 public:
  // `chunked`: as HTTP/1.1 does it, so that a client can tell an end from a break; else until the close.
  EventStream(Connection& connection, std::shared_ptr<EventSource> source, bool chunked);

  ~EventStream();

  Task<void> run();
  void wake();  // there is news, or the end

 private:
  Task<bool> send(std::string& text);
  Task<void> wait_for_news(std::chrono::steady_clock::time_point until);
  void watch_client();

  Connection& connection_;
  std::shared_ptr<EventSource> source_;
  const bool chunked_;
  // Outlives the stream in the coroutine that watches the client.
  struct Watch {
    bool client_is_gone = false;
    EventStream* stream = nullptr;
  };
  std::shared_ptr<Watch> watch_ = std::make_shared<Watch>();
  asio::steady_timer news_;
  bool has_news_ = false;
};

}  // namespace teal
