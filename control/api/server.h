// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 over a unix socket. It knows bytes and limits, no resources.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <tl/expected.hpp>

#include "control/api/request.h"
#include "control/coroutine.h"

namespace boost::asio {
class io_context;
}

namespace teal {

class Server {
 public:
  using Handler = std::function<Task<Response>(const Request&)>;

  static constexpr uint32_t kBodyLimit = 64 * 1024;
  static constexpr uint32_t kHeaderLimit = 8 * 1024;
  static constexpr auto kIdleTimeout = std::chrono::seconds(30);
  static constexpr uint32_t kMostConnections = 128;

  // Listens at `path` (0660). A socket that is there was left by a dead daemon (the caller holds the daemon's
  // lock) and is removed; anything else that is there is an error.
  static tl::expected<std::unique_ptr<Server>, std::string> listen(boost::asio::io_context& io,
                                                                   const std::string& path, Handler handler);
  virtual ~Server() = default;  // removes the socket
};

}  // namespace teal
