// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/api/http/raw_client.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace teal {

RawClient::RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) close();
}

RawClient::RawClient(const Socket& loopback) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = loopback.port.raw;
  std::memcpy(&address.sin_addr, loopback.address.v4_bytes(), 4);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) close();
}

RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), ended_(other.ended_), received_(std::move(other.received_)) {}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool RawClient::get(const std::string& target, const std::string& more_headers) {
  return send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more_headers + "\r\n");
}

void RawClient::done_sending() {
  ::shutdown(fd_, SHUT_WR);
}

void RawClient::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

bool RawClient::read_some(Wait at_most) {
  pollfd readable{fd_, POLLIN, 0};
  if (ended_ || ::poll(&readable, 1, static_cast<int>(at_most.count())) <= 0) return false;
  char bytes[65536];
  const ssize_t count = ::recv(fd_, bytes, sizeof(bytes), 0);
  if (count <= 0) {
    ended_ = true;
    return false;
  }
  received_.append(bytes, static_cast<size_t>(count));
  return true;
}

const std::string& RawClient::read_until(std::string_view text, Wait at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  while (text.empty() || received_.find(text) == std::string::npos) {
    const auto left = std::chrono::duration_cast<Wait>(deadline - std::chrono::steady_clock::now());
    if (!read_some(std::max(left, Wait(0)))) break;
  }
  return received_;
}

bool RawClient::is_closed(Wait at_most) {
  (void)read_all(at_most);
  return ended_;
}

bool RawClient::is_hung_up(Wait at_most) {
  pollfd closed{fd_, 0, 0};  // poll() always reports POLLHUP
  return ::poll(&closed, 1, static_cast<int>(at_most.count())) == 1 && (closed.revents & POLLHUP) != 0;
}

}  // namespace teal
