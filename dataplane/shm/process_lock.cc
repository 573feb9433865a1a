// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/process_lock.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace teal {
namespace {

// The mode of the lock file, set regardless of the umask. The group needs access, as teald takes the lock of
// a dead dataplane as another user of the same group. Other users have no access: a process that can open the
// file can lock it and so block Teal.
constexpr mode_t kLockFileMode = 0660;

// Opens the lock file, or creates it. An existing file is opened without O_CREAT: the kernel can refuse
// O_CREAT for another user's file in a sticky directory (fs.protected_regular). Symlinks are not followed, as
// the pid is written into the file.
int open_or_create(const std::string& path) {
  for (;;) {
    int fd = open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT) return fd;
    fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kLockFileMode);
    if (fd < 0 && errno == EEXIST) continue;  // another process was faster
    if (fd < 0 || fchmod(fd, kLockFileMode) == 0) return fd;
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
}

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;  // l_pid is 0, as open file description locks require
}

// Returns 0 if the file has no pid.
uint32_t written_pid(int fd) {
  char text[16] = {};
  if (pread(fd, text, sizeof(text) - 1, 0) <= 0) return 0;
  return static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

std::string holder(int fd) {
  const uint32_t pid = written_pid(fd);
  return pid == 0 ? "a process that has not written its pid yet" : "pid " + std::to_string(pid);
}

bool is_locked(int fd) {
  struct flock found = whole_file();
  return fcntl(fd, F_OFD_GETLK, &found) == 0 && found.l_type != F_UNLCK;
}

}  // namespace

tl::expected<ProcessLock, std::string> ProcessLock::acquire(const std::string& path,
                                                            std::chrono::milliseconds patience) {
  ProcessLock lock(open_or_create(path));
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
  const bool held = is_locked(fd);
  close(fd);
  return held;
}

uint32_t ProcessLock::pid_of_holder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const uint32_t pid = is_locked(fd) ? written_pid(fd) : 0;
  close(fd);
  return pid;
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
