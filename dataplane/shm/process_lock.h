// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>
#include <chrono>
#include <optional>
#include <string>

#include <tl/expected.hpp>

namespace teal {

// A file lock (fcntl open file description lock) that a process holds for its life: the kernel lets go of it
// however the process ends.
class ProcessLock {
 public:
  // Creates the file (0660) where needed and writes this process's pid into it. The error names the file and
  // the pid of the holder. Tries for `patience`: teald holds the dataplane's lock for some microseconds while
  // it drops a dead one's claims, and a killed dataplane for as long as the kernel takes to close its AF_XDP
  // sockets.
  static tl::expected<ProcessLock, std::string> acquire(
      const std::string& path, std::chrono::milliseconds patience = std::chrono::milliseconds(40));
  // Does some process hold it? Never takes it.
  static bool is_held(const std::string& path);

  ProcessLock(ProcessLock&& other) noexcept;
  ProcessLock& operator=(ProcessLock&& other) noexcept;
  ~ProcessLock();

 private:
  explicit ProcessLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace teal
