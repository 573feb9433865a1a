// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 on a listener. It knows bytes and limits, no resources. A connection is read by connection.h, who
// gets a place is decided in places.h, an endless answer is written by event_stream.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/api/http/limits.h"
#include "control/api/http/listener.h"
#include "control/api/http/request.h"
#include "control/api/http/response.h"
#include "control/loop/coroutine.h"

namespace boost::asio {
class io_context;
}

namespace teal {

class Server {
 public:
  using Handler = std::function<Task<Response>(const Request&)>;

  struct Options {
    bool read_only = false;  // everything but GET and HEAD is refused
    std::string changes_at;  // the socket that takes changes, for the hint then
    ServerLimits limits;
  };

  static std::unique_ptr<Server> start(boost::asio::io_context& io, Listener listener, Options options,
                                       Handler handler);

  // No more connections and no more requests: those that wait are closed, streams end, requests under way
  // are answered. The socket's path is removed.
  virtual ~Server() = default;

  virtual Listener& listener() = 0;
};

}  // namespace teal
