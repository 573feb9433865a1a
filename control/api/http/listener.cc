// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/listener.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace teal {

namespace {

constexpr int kBacklog = 1024;  // connections that the kernel keeps while all slots are taken

std::string reason() {
  return std::strerror(errno);
}

tl::expected<void, std::string> remove_leftover(const std::string& path) {
  struct stat existing {};
  if (::lstat(path.c_str(), &existing) != 0) return {};
  if (!S_ISSOCK(existing.st_mode))
    return tl::unexpected(path + ": exists and is not a socket, so teald does not remove it");
  if (::unlink(path.c_str()) != 0)
    return tl::unexpected(fmt::format("{}: cannot remove it: {}", path, reason()));
  spdlog::info("{}: removed the socket of a daemon that has ended", path);
  return {};
}

std::string shown(const SocketAccess& access) {
  return fmt::format("owner {}, group {}", access.owner ? std::to_string(*access.owner) : "teald's",
                     access.group ? std::to_string(*access.group) : "teald's");
}

socklen_t to_address(const Socket& endpoint, sockaddr_storage& out) {
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = endpoint.port.raw;
    std::memcpy(&v4.sin_addr, endpoint.address.v4_bytes(), 4);
    std::memcpy(&out, &v4, sizeof(v4));
    return sizeof(v4);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = endpoint.port.raw;
  std::memcpy(&v6.sin6_addr, endpoint.address.bytes, 16);
  std::memcpy(&out, &v6, sizeof(v6));
  return sizeof(v6);
}

Be16 bound_port(int fd, Be16 asked_for) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return asked_for;
  const auto port = bound.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(bound).sin_port
                                               : reinterpret_cast<const sockaddr_in6&>(bound).sin6_port;
  return Be16{port};
}

}  // namespace

tl::expected<Listener, std::string> Listener::on_path(const std::string& path, const SocketAccess& access) {
  sockaddr_un address{};
  if (path.size() >= sizeof(address.sun_path))
    return tl::unexpected(fmt::format("{}: the path has {} bytes, expected at most {} for a unix socket",
                                      path, path.size(), sizeof(address.sun_path) - 1));
  if (auto removed = remove_leftover(path); !removed) return tl::unexpected(removed.error());
  Listener listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto failed = [&](const char* what) {
    return tl::unexpected(fmt::format("{}: cannot {}: {}", path, what, reason()));
  };
  if (listener.fd_ < 0) return failed("create a socket");
  // bind() gives the file the mode of the socket without the bits of the umask. The mode stays 0 until the
  // file has its owner. The umask itself belongs to all threads and is not changed.
  if (::fchmod(listener.fd_, 0) != 0) return failed("set its mode to 0");
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::bind(listener.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return failed("bind it");
  listener.path_ = path;
  if (auto set = listener.set_access(access); !set) return tl::unexpected(set.error());
  if (::listen(listener.fd_, kBacklog) != 0) return failed("listen");
  return listener;
}

tl::expected<Listener, std::string> Listener::on_loopback(const Socket& endpoint) {
  const int family = endpoint.address.is_v4() ? AF_INET : AF_INET6;
  Listener listener(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  listener.endpoint_ = endpoint;
  const auto failed = [&](const char* what) {
    return tl::unexpected(fmt::format("{}: cannot {}: {}", to_string(endpoint), what, reason()));
  };
  if (listener.fd_ < 0) return failed("create a socket");
  const int on = 1;  // a restarted daemon can bind the port at once
  if (::setsockopt(listener.fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
    return failed("set SO_REUSEADDR");
  sockaddr_storage address{};
  const socklen_t size = to_address(endpoint, address);
  if (::bind(listener.fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0) return failed("bind it");
  if (::listen(listener.fd_, kBacklog) != 0) return failed("listen");
  listener.endpoint_.port = bound_port(listener.fd_, endpoint.port);
  return listener;
}

Listener::~Listener() {
  if (fd_ >= 0) ::close(fd_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

tl::expected<void, std::string> Listener::set_access(const SocketAccess& access) {
  const char* path = path_.c_str();
  const uid_t owner = access.owner.value_or(::geteuid());
  const gid_t group = access.group.value_or(::getegid());
  struct stat before {};
  if (::lstat(path, &before) != 0 || ::chmod(path, 0) != 0)
    return tl::unexpected(fmt::format("{}: cannot set its mode to 0: {}", path_, reason()));
  // The mode is 0 while owner and group change, so the old mode never holds for the new group, nor the new
  // mode for the old group. The owner comes last: without CAP_FOWNER only the owner may change the mode.
  if (::lchown(path, before.st_uid, group) == 0 && ::chmod(path, access.mode) == 0 &&
      ::lchown(path, owner, group) == 0)
    return {};
  const std::string why = reason();
  if (::lchown(path, before.st_uid, before.st_gid) == 0) (void)::chmod(path, before.st_mode & 07777);
  return tl::unexpected(
      fmt::format("{}: cannot set {}, mode {:04o}: {} (without CAP_CHOWN the owner must be teald's user and "
                  "the group one of "
                  "teald's groups)",
                  path_, shown(access), access.mode, why));
}

std::string Listener::name() const {
  return is_unix() ? path_ : to_string(endpoint_);
}

}  // namespace teal
