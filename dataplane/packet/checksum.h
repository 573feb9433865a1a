// SPDX-License-Identifier: Apache-2.0
//
// The Internet checksum (RFC 1071) and its incremental update when a header changes (RFC 1624).
//
// All sums are over 16-bit words as they lie in memory. RFC 1071, 2(B): the sum does not depend on the byte
// order, as long as all words have the same one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/packet/ip_address.h"

namespace teal {

// Folds a 32-bit sum into 16 bits, in ones' complement: carries are added back.
inline uint16_t fold(uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum + (sum >> 16));
}

// Adds two words in ones' complement.
inline uint16_t add(uint16_t a, uint16_t b) {
  uint16_t sum;
  const bool carry = __builtin_add_overflow(a, b, &sum);
  return static_cast<uint16_t>(sum + carry);
}

// Returns the sum over `bytes` bytes plus `initial`, neither folded nor complemented. An odd last byte is
// padded with 0. The result is at most 0x1fffe, so a caller may add further words.
uint32_t ones_complement_sum(const void* data, size_t bytes, uint32_t initial = 0);

// The difference that replacing one socket by another makes to a checksum: ~old + new, folded. It is computed
// once per backend and applied to each packet.
struct ChecksumDelta {
  uint16_t ip = 0;         // for the IPv4 header: the address alone (0 for IPv6)
  uint16_t transport = 0;  // for TCP and UDP: the address (pseudo header) and the port

  // Both sockets have the same address family.
  static ChecksumDelta between(const Socket& old_socket, const Socket& new_socket);
  ChecksumDelta reversed() const { return {static_cast<uint16_t>(~ip), static_cast<uint16_t>(~transport)}; }
};

// Returns the checksum after a change of the covered words. RFC 1624, equation 3: HC' = ~(~HC + ~m + m'),
// where `delta` is ~m + m'.
inline uint16_t updated_checksum(uint16_t checksum, uint16_t delta) {
  return static_cast<uint16_t>(~add(static_cast<uint16_t>(~checksum), delta));
}

}  // namespace teal
