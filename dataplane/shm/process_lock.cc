// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/process_lock.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

namespace teal {
namespace {

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;  // l_pid is 0, as open file description locks want it
}

std::string holder(int fd) {
  char text[16] = {};
  const ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
  const size_t digits = length > 0 ? strspn(text, "0123456789") : 0;
  return digits == 0 ? "a process that has not written its pid yet" : "pid " + std::string(text, digits);
}

}  // namespace

tl::expected<ProcessLock, std::string> ProcessLock::acquire(const std::string& path,
                                                            std::chrono::milliseconds patience) {
  ProcessLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.fd_ < 0) return tl::make_unexpected(path + ": cannot open the lock file: " + std::strerror(errno));

  struct flock wanted = whole_file();
  const auto end = std::chrono::steady_clock::now() + patience;
  while (fcntl(lock.fd_, F_OFD_SETLK, &wanted) != 0) {
    if (errno != EAGAIN && errno != EACCES)
      return tl::make_unexpected(path + ": cannot lock: " + std::strerror(errno));
    if (std::chrono::steady_clock::now() >= end)
      return tl::make_unexpected(path + ": held by " + holder(lock.fd_) + ", expected no other process");
    const timespec pause{.tv_sec = 0, .tv_nsec = 10'000'000};
    nanosleep(&pause, nullptr);
  }

  const std::string pid = std::to_string(getpid()) + "\n";
  const auto length = static_cast<ssize_t>(pid.size());
  if (pwrite(lock.fd_, pid.data(), pid.size(), 0) != length || ftruncate(lock.fd_, length) != 0)
    return tl::make_unexpected(path + ": cannot write the pid: " + std::strerror(errno));
  return lock;
}

bool ProcessLock::is_held(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct flock found = whole_file();
  const bool held = fcntl(fd, F_OFD_GETLK, &found) == 0 && found.l_type != F_UNLCK;
  close(fd);
  return held;
}

ProcessLock::ProcessLock(ProcessLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

ProcessLock& ProcessLock::operator=(ProcessLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

ProcessLock::~ProcessLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace teal
