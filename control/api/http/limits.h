// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace teal {

// Limits of one server. They bound memory and time, so that a slow, greedy or silent client does not harm
// others.
struct ServerLimits {
  size_t header_bytes = 8 * 1024;
  size_t body_bytes = 128 * 1024;  // a flip that names 1,024 services takes up to 68 KB
  std::chrono::milliseconds idle = std::chrono::seconds(30);     // without a byte of the next request
  std::chrono::milliseconds request = std::chrono::seconds(30);  // from its first byte to its last
  // A client must read an answer, or one piece of a stream, within this time.
  std::chrono::milliseconds write = std::chrono::seconds(30);
  // A stream without events sends a comment this often.
  std::chrono::milliseconds keep_alive = std::chrono::seconds(15);
  // A new connection waits this long for a free slot, then it is refused.
  std::chrono::milliseconds slot_wait = std::chrono::seconds(1);
  uint32_t connections = 128;
  uint32_t streams = 32;              // included in `connections`
  uint32_t reserved_for_changes = 8;  // slots that refuse GET, on a server that accepts changes
  size_t unread_bytes = 16 << 20;     // of answers that clients have yet to read, all together
};

}  // namespace teal
