// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 on a listener. The server handles bytes and limits and knows no resources: connection.h reads
// requests, connection_slots.h decides which clients stay connected, event_stream.h writes endless answers.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/api/http/limits.h"
#include "control/api/http/listener.h"
#include "control/api/http/request.h"
#include "control/api/http/response.h"
#include "control/loop/clock.h"

namespace boost::asio {
class io_context;
}

namespace teal {

class Server {
 public:
  using Handler = std::function<Task<Response>(const Request&)>;

  struct Options {
    bool read_only = false;  // refuses all methods but GET and HEAD
    std::string changes_at;  // path of the socket that accepts changes, for the hint
    ServerLimits limits;
    OnRefused on_refused = [](const auto&, const auto&, const auto&) {};
  };

  static std::unique_ptr<Server> start(boost::asio::io_context& io, const Clock& clock, Listener listener,
                                       Options options, Handler handler);

  // Accepts no more connections and requests. Closes waiting connections, ends streams, answers requests
  // under way, and removes the path of the socket.
  virtual ~Server() = default;

  virtual Listener& listener() = 0;
};

}  // namespace teal
