// SPDX-License-Identifier: Apache-2.0
//
// Server-sent events on a connection. The stream sends the events of a source as fast as the client reads
// them. Without events it sends a comment at intervals, so that each end notices when the other one is gone.
// The stream ends with the client, with the server, or if the client reads nothing for the time limit.
#pragma once

#include <memory>

#include "control/api/http/connection.h"
#include "control/api/http/response.h"

namespace teal {

class EventStream {
 public:
  // `chunked`: uses the chunked encoding of HTTP/1.1, with which a client can tell the end from an
  // interruption. Otherwise the close of the connection is the end.
  EventStream(Connection& connection, std::shared_ptr<EventSource> source, bool chunked);

  ~EventStream();

  Task<void> run();
  void wake();  // there are new events, or the stream is to end

 private:
  Task<bool> send(std::string& text);
  Task<void> wait_for_news(Clock::Time until);
  void watch_client();

  Connection& connection_;
  std::shared_ptr<EventSource> source_;
  const bool chunked_;
  // Shared with the coroutine that watches the client, which may outlive the stream.
  struct Watch {
    bool client_is_gone = false;
    EventStream* stream = nullptr;
  };
  std::shared_ptr<Watch> watch_ = std::make_shared<Watch>();
  asio::steady_timer news_;
  bool has_news_ = false;
};

}  // namespace teal
