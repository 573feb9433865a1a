// SPDX-License-Identifier: Apache-2.0
//
// The servers of the API: control.sock, status.sock and, where the config asks for it, a loopback listener.
#pragma once

#include <memory>
#include <string>

#include <tl/expected.hpp>

#include "control/api/http/server.h"
#include "control/api/resources/router.h"

namespace teal {

class ApiServers {
 public:
  // `api` outlives this, and what is left of the servers' coroutines in `io`.
  ApiServers(asio::io_context& io, std::string run_dir, Api& api, ServerLimits limits = {});
  ~ApiServers();

  // At the start, and after each reload: opens what is missing, gives new rights, closes what is not wanted
  // any more. What cannot be done stays as it was, and the error says why.
  tl::expected<void, std::string> apply(const ApiConfig& config);

  // Of the loopback listener, with the port it got.
  std::optional<Socket> loopback() const;

 private:
  using Applied = tl::expected<void, std::string>;
  Applied apply_access(std::unique_ptr<Server>& server, const char* name, const SocketAccess& access,
                       const SocketAccess& before, bool read_only);
  Applied apply_listen(const std::optional<Socket>& endpoint);
  std::unique_ptr<Server> start(Listener listener, bool read_only);

  asio::io_context& io_;
  const std::string run_dir_;
  Api& api_;
  const ServerLimits limits_;
  ApiConfig applied_;
  std::unique_ptr<Server> control_, status_, loopback_;
};

}  // namespace teal
