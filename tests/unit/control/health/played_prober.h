// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

namespace teal {

// A prober that says what a test wants. Its socket does not block.
class PlayedProber {
 public:
  explicit PlayedProber(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  ~PlayedProber() { ::close(fd_); }
  bool is_connected() const { return connected_; }
  void say(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) {
        ::usleep(1000);
        continue;
      }
      if (sent <= 0) return;
      text.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // Adds what has come to the text. Returns false if the connection has ended.
  bool hear(std::string& text) {
    char buffer[4096];
    ssize_t got = 0;
    while ((got = ::recv(fd_, buffer, sizeof(buffer), 0)) > 0) text.append(buffer, static_cast<size_t>(got));
    return got < 0 && errno == EAGAIN;
  }

 private:
  const int fd_;
  bool connected_ = false;
};

}  // namespace teal
