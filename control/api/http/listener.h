// SPDX-License-Identifier: Apache-2.0
//
// Where a server listens: a unix socket with an owner, group and mode, or a loopback address.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

#include "control/config/config.h"

namespace teal {

// A listening socket. The end of the object removes the path of a unix socket.
class Listener {
 public:
  // A socket that is there was left by a dead daemon (the caller holds the daemon's lock) and is removed;
  // anything else that is there is an error. At no moment has the path other rights than `access` or none.
  static tl::expected<Listener, std::string> on_path(const std::string& path, const SocketAccess& access);
  // Port 0 takes any that is free.
  static tl::expected<Listener, std::string> on_loopback(const Socket& endpoint);

  Listener(Listener&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        path_(std::exchange(other.path_, "")),
        endpoint_(other.endpoint_) {}
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  // Of a unix socket: new rights, for those who connect from now on.
  tl::expected<void, std::string> set_access(const SocketAccess& access);

  bool is_unix() const { return !path_.empty(); }
  const Socket& endpoint() const { return endpoint_; }  // of a loopback listener, with the port it got
  std::string name() const;                             // for messages
  int release_fd() { return std::exchange(fd_, -1); }   // the caller closes it

 private:
  explicit Listener(int fd) : fd_(fd) {}

  int fd_;
  std::string path_;
  Socket endpoint_;
};

}  // namespace teal
