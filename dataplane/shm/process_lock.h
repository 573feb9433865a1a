// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <tl/expected.hpp>

namespace teal {

// A file lock (fcntl, open file description lock) that a process holds for its life. The kernel releases the
// lock when the process ends, however it ends.
class ProcessLock {
 public:
  // Takes the lock and writes this process's pid into the file. Creates the file (0660) if it is missing. The
  // error names the file and the pid of the holder. acquire() retries for `patience`, for two reasons: teald
  // holds the lock of a dead dataplane for some microseconds (PublicationWriter::forget_dead_readers), and a
  // killed dataplane holds its lock until the kernel has closed its AF_XDP sockets.
  static tl::expected<ProcessLock, std::string> acquire(
      const std::string& path, std::chrono::milliseconds patience = std::chrono::milliseconds(40));
  // Returns true if some process holds the lock. Does not take the lock.
  static bool is_held(const std::string& path);
  // Returns the pid of the holder; 0: no process holds the lock, or the holder has not written its pid yet.
  static uint32_t pid_of_holder(const std::string& path);

  ProcessLock(ProcessLock&& other) noexcept;
  ProcessLock& operator=(ProcessLock&& other) noexcept;
  ~ProcessLock();

 private:
  explicit ProcessLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace teal
