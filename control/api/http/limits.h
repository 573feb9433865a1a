// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace teal {

// What one server gives its clients. They are bounds on memory and patience, so that no client, slow, greedy
// or mute, is another one's trouble.
struct ServerLimits {
  size_t header_bytes = 8 * 1024;
  size_t body_bytes = 128 * 1024;  // a flip that names 1,024 services takes up to 68 KB
  std::chrono::milliseconds idle = std::chrono::seconds(30);        // without a byte of the next request
  std::chrono::milliseconds request = std::chrono::seconds(30);     // from its first byte to its last
  std::chrono::milliseconds write = std::chrono::seconds(30);       // until the client took an answer, or one
                                                                    // piece of a stream
  std::chrono::milliseconds keep_alive = std::chrono::seconds(15);  // between comments on a quiet stream
  std::chrono::milliseconds patience = std::chrono::seconds(1);     // of a new connection, for a place
  uint32_t connections = 128;
  uint32_t streams = 32;           // of these
  uint32_t for_changes = 8;        // places that no GET takes, where changes are made
  size_t unread_bytes = 16 << 20;  // of answers that clients have not taken yet
};

}  // namespace teal
