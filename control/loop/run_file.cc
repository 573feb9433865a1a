// SPDX-License-Identifier: Apache-2.0
#include "control/loop/run_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace teal {

namespace {

bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

tl::expected<void, std::string> replace_run_file(const std::string& path, std::string_view text) {
  const std::string next = path + ".new";
  const auto failed = [&](const char* what) {
    return tl::unexpected(next + ": cannot " + what + ": " + std::strerror(errno));
  };
  const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0) return failed("create it");
  const bool written = write_whole(fd, text);
  const bool closed = ::close(fd) == 0;
  if (!written || !closed) return failed("write it");
  if (::rename(next.c_str(), path.c_str()) != 0) return failed("rename it");
  return {};
}

tl::expected<std::optional<std::string>, std::string> read_run_file(const std::string& path) {
  // O_NONBLOCK: opening a FIFO without a writer would block.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  if (fd < 0) return tl::unexpected(path + ": cannot be read: " + std::strerror(errno));
  std::string text;
  char buffer[65536];
  ssize_t got = 0;
  while (text.size() <= kMaxRunFile && (got = ::read(fd, buffer, sizeof(buffer))) != 0) {
    if (got > 0)
      text.append(buffer, static_cast<size_t>(got));
    else if (errno != EINTR)
      break;
  }
  const int error = got < 0 ? errno : 0;
  ::close(fd);
  if (error != 0) return tl::unexpected(path + ": cannot be read: " + std::strerror(error));
  if (text.size() > kMaxRunFile) return tl::unexpected(path + ": is larger than 8 MiB");
  return text;
}

}  // namespace teal
