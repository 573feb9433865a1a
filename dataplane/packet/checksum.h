// SPDX-License-Identifier: Apache-2.0
//
// The Internet checksum (RFC 1071), and what changes of a header do to it (RFC 1624).
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/packet/ip_address.h"

namespace teal {

// Sums are of 16-bit words as they lie in memory (RFC 1071, 2(B): byte order does not matter as long as it is
// kept).
inline uint16_t fold(uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum + (sum >> 16));
}

// The same for two words: the carry comes back in.
inline uint16_t add(uint16_t a, uint16_t b) {
  uint16_t sum;
  const bool carry = __builtin_add_overflow(a, b, &sum);
  return static_cast<uint16_t>(sum + carry);
}

// The sum over `bytes` (an odd last byte counts as padded with 0), not folded, not complemented.
uint32_t ones_complement_sum(const void* data, size_t bytes, uint32_t initial = 0);

// What exchanging one socket for another adds to a checksum: ~old + new, folded.
struct ChecksumDelta {
  uint16_t ip = 0;         // for the IPv4 header: the address alone (0 for IPv6)
  uint16_t transport = 0;  // for TCP and UDP: the address (pseudo header) and the port

  // Both sockets are of one family.
  static ChecksumDelta between(const Socket& old_socket, const Socket& new_socket);
  ChecksumDelta reversed() const { return {static_cast<uint16_t>(~ip), static_cast<uint16_t>(~transport)}; }
};

// RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). `delta` is ~m + m'.
inline uint16_t updated_checksum(uint16_t checksum, uint16_t delta) {
  return static_cast<uint16_t>(~add(static_cast<uint16_t>(~checksum), delta));
}

}  // namespace teal
