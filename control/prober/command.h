// SPDX-License-Identifier: Apache-2.0
//
// Runs a command: of a check, or of a hook. It runs in a process group of its own, in /, and with no
// environment but PATH and the given variables. Its output and its errors go into one pipe. Its input is a
// file in memory that nobody can write to, so a command that does not read it blocks nobody.
//
// Whatever it does, its children end with it: the group is killed when the command ends or is killed. A child
// that leaves the group becomes a child of teal-health when its parent ends (PR_SET_CHILD_SUBREAPER), and is
// found and killed then.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include <tl/expected.hpp>

namespace teal {

// The words, the environment and the input of a command.
struct CommandLine {
  std::vector<std::string> words;        // an absolute path, then arguments
  std::vector<std::string> environment;  // "NAME=value", without PATH
  std::string input;
};

class Command {
 public:
  // The error: this host has no process or file descriptor left. A program that cannot be run is no error:
  // the command prints why, and ends with exit code 127.
  static tl::expected<std::unique_ptr<Command>, std::string> start(const CommandLine& line);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  ~Command();  // kills and reaps

  // The caller closes the descriptors. The one of the process can be read when the process has ended.
  int take_output_fd() { return std::exchange(output_fd_, -1); }
  int take_process_fd() { return std::exchange(process_fd_, -1); }

  // Kills the process and its children. Does not wait.
  void kill() const;
  // Waits for the process, which must have ended or been killed, kills the children that are left, and
  // returns its wait status.
  int reap();

  // Lets teal-health become the parent of processes whose parent has ended. To be called once, at the start.
  static void adopt_orphans();
  // Kills and reaps the adopted processes that belong to no running command's group. Called when a command
  // ends, and each second for those that took longer.
  static void end_orphans();

 private:
  Command(pid_t pid, int output_fd, int process_fd)
      : pid_(pid), output_fd_(output_fd), process_fd_(process_fd) {}

  pid_t pid_;
  int output_fd_, process_fd_;
  bool is_reaped_ = false;
};

}  // namespace teal
