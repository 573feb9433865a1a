// SPDX-License-Identifier: Apache-2.0
//
// The kinds of checks, one file each. A check ends at its timeout, takes bounded memory whatever the backend
// sends, and leaves nothing behind: connections end by a RST, so no TIME_WAIT is left, and commands are
// killed with their children.
#pragma once

#include <string>

#include "control/health/health_messages.h"
#include "control/loop/clock.h"
#include "control/loop/semaphore.h"

namespace teal {

struct CheckResult {
  enum class Outcome : uint8_t {
    kPassed,
    kFailed,
    kNotMade  // this host lacks something, such as a file descriptor: says nothing about the backend
  };
  Outcome outcome = Outcome::kPassed;
  std::string reason;  // of kFailed and kNotMade

  static CheckResult failed(std::string reason) { return {Outcome::kFailed, std::move(reason)}; }
  static CheckResult not_made(std::string reason) { return {Outcome::kNotMade, std::move(reason)}; }
};

// At most this number of commands run at once. Further ones wait for a place, and their timeout waits, too.
inline constexpr uint32_t kMaxCommands = 16;

// tcp: passes if the backend accepts a connection.
Task<CheckResult> check_tcp(const CheckOrder& order);
// http: passes if the answer to a GET has a status of the range and, if wanted, a text in its body. Reads at
// most 8 KiB of header and 64 KiB of body, and the body only if a text is wanted.
Task<CheckResult> check_http(const CheckOrder& order);
// udp: passes if the first answer to a datagram contains a text. Reads at most 4 KiB of it.
Task<CheckResult> check_udp(const CheckOrder& order);
// command: passes if the command ends with exit code 0. The last line that it printed is the reason of a
// failure. A command that prints more than 64 KiB fails.
Task<CheckResult> check_command(const CheckOrder& order, Semaphore& places);

Task<CheckResult> make_check(const CheckOrder& order, Semaphore& places);

// "1 s", "250 ms"
std::string span_words(std::chrono::milliseconds span);

}  // namespace teal
