// SPDX-License-Identifier: Apache-2.0
//
// Backends on loopback that behave as a test says, in a thread each.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include "control/health/health_messages.h"

namespace teal {

// Accepts TCP connections one after the other and gives each to `serve`, which gets a blocking socket and may
// look at is_over(). The socket is closed afterwards.
class TcpBackend {
 public:
  using Serve = std::function<void(int fd, const TcpBackend& backend)>;

  explicit TcpBackend(Serve serve) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 4096) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no listener on loopback");
    port_ = ntohs(address.sin_port);
    if (serve) thread_ = std::thread([this, serve = std::move(serve)] { accept(serve); });
  }
  ~TcpBackend() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
    ::close(listener_);
  }

  uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  bool is_over() const { return over_; }

  // Sends the text; returns false if the client is gone.
  static bool say(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // Reads until the empty line after the request.
  static std::string request(int fd) {
    std::string text;
    char buffer[4096];
    while (text.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = ::recv(fd, buffer, sizeof(buffer), 0);
      if (got <= 0) break;
      text.append(buffer, static_cast<size_t>(got));
    }
    return text;
  }

 private:
  void accept(const Serve& serve) {
    while (!over_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (::poll(&waiting, 1, 10) <= 0) continue;
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      serve(fd, *this);
      ::close(fd);
    }
  }

  const int listener_;
  uint16_t port_ = 0;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

// A backend that answers each HTTP request with this text.
inline TcpBackend::Serve answers(std::string text) {
  return [text = std::move(text)](int fd, const TcpBackend&) {
    (void)TcpBackend::request(fd);
    (void)TcpBackend::say(fd, text);
  };
}

inline CheckOrder order_of(CheckKind kind, const std::string& address,
                           std::chrono::milliseconds timeout = std::chrono::seconds(5)) {
  CheckOrder order;
  order.backend = 7;
  order.address = parse_socket(address).value();
  order.service = "web";
  order.colour = "blue";
  order.check.kind = kind;
  order.check.timeout = timeout;
  return order;
}

}  // namespace teal
