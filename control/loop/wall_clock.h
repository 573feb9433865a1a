// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace teal {

// Milliseconds since 1970, UTC. For people to read only: the wall clock may jump, so nothing is timed by it.
inline int64_t wall_clock_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// Returns the time as RFC 3339 in UTC with milliseconds: 2026-11-23T05:30:00.123Z.
std::string rfc3339(int64_t at_ms);

}  // namespace teal
