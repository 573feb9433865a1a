// SPDX-License-Identifier: Apache-2.0
//
// A socket that a server listens on: a unix socket with an owner, group and mode, or a loopback address.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

#include "control/config/config.h"

namespace teal {

// Owns a listening socket. The destructor removes the path of a unix socket.
class Listener {
 public:
  // Removes a socket that exists at the path: a dead daemon has left it, as the caller holds the daemon's
  // lock. Any other file there is an error. At each moment the path has the access rights of `access`, or
  // none.
  static tl::expected<Listener, std::string> on_path(const std::string& path, const SocketAccess& access);
  // Port 0 takes any free port.
  static tl::expected<Listener, std::string> on_loopback(const Socket& endpoint);

  Listener(Listener&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        path_(std::exchange(other.path_, "")),
        endpoint_(other.endpoint_) {}
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  // Changes the access rights of a unix socket. They hold for new connections.
  tl::expected<void, std::string> set_access(const SocketAccess& access);

  bool is_unix() const { return !path_.empty(); }
  const Socket& endpoint() const { return endpoint_; }  // of a loopback listener, with its actual port
  std::string name() const;                             // for messages
  int release_fd() { return std::exchange(fd_, -1); }   // the caller must close it

 private:
  explicit Listener(int fd) : fd_(fd) {}

  int fd_;
  std::string path_;
  Socket endpoint_;
};

}  // namespace teal
