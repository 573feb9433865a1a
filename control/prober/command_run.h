// SPDX-License-Identifier: Apache-2.0
//
// Runs a command to its end. The command is killed at its timeout, or when it prints more than 64 KiB. Its
// children end with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "control/loop/coroutine.h"
#include "control/loop/semaphore.h"
#include "control/prober/command.h"

namespace teal {

// Not an aggregate: GCC 12 copies such a temporary byte by byte into a coroutine's frame.
struct CommandEnd {
  enum class How : uint8_t {
    kEnded,
    kTimedOut,
    kTooLong,     // it printed too much
    kNotStarted,  // this host lacks something, such as a file descriptor
  };
  CommandEnd(How how_it_ended, std::string reason) : how(how_it_ended), why(std::move(reason)) {}

  How how;
  std::string why;        // empty: it ended by itself
  int status = 0;         // of wait(2), if it ended by itself
  std::string last_line;  // of its output

  bool passed() const { return how == How::kEnded && status == 0; }
};

// Returns why the command did not pass, without its output: "the command ended with exit code 3".
std::string words_of(const CommandEnd& end);

// Starts the command at once.
Task<CommandEnd> run_command(const CommandLine& line, std::chrono::milliseconds timeout);
// Waits for a place first. The timeout counts from the start of the command.
Task<CommandEnd> run_command(const CommandLine& line, std::chrono::milliseconds timeout, Semaphore& places);

// Kills all commands that run, with their children. To be called at the end of the process.
void kill_commands();

}  // namespace teal
