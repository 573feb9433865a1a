// SPDX-License-Identifier: Apache-2.0
//
// The servers of the API: control.sock, status.sock and, if the config has `listen`, a loopback listener.
#pragma once

#include <memory>
#include <string>

#include <tl/expected.hpp>

#include "control/api/http/server.h"
#include "control/api/resources/router.h"

namespace teal {

// Returns the sockets of [api] that cannot be opened as the config wants them. Each has a line in the form of
// the config's errors. Tries only those that differ from `applied`, at other paths, and closes them again.
ConfigErrors api_problems(const Config& wanted, const ApiConfig& applied, const std::string& run_dir);

class ApiServers {
 public:
  // `api` must outlive this object and the servers' coroutines that are left in `io`.
  ApiServers(asio::io_context& io, std::string run_dir, Api& api, ServerLimits limits = {});

  // Returns whether operators can reach teald.
  bool has_control() const { return control_ != nullptr; }

  // Opens missing sockets, sets access rights, and closes sockets that the config no longer has. Call it at
  // the start and after each reload. If a step fails, its socket stays as before and the error has the
  // reason; the other steps are done.
  tl::expected<void, std::string> apply(const ApiConfig& config);

  // The same for the sockets that are open now.
  ConfigErrors problems(const Config& wanted) const { return api_problems(wanted, applied_, run_dir_); }

  // The address of the loopback listener, with its actual port.
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
