// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/checksum.h"

#include <cstring>

namespace teal {

uint32_t ones_complement_sum(const void* data, size_t bytes, uint32_t initial) {
  const auto* at = static_cast<const uint8_t*>(data);
  uint64_t sum = initial;
  // The loop takes four bytes at a time. Carries collect in the upper half of the sum (RFC 1071, 2(C)).
  for (; bytes >= 4; at += 4, bytes -= 4) {
    uint32_t word;
    std::memcpy(&word, at, 4);
    sum += word;
  }
  if (bytes > 0) {
    uint8_t last[4] = {};
    std::memcpy(last, at, bytes);
    uint32_t word;
    std::memcpy(&word, last, 4);
    sum += word;
  }
  // 2^16 equals 1 in ones' complement, so upper halves are added to the lower one. The result keeps room for
  // further words that a caller adds.
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
  return static_cast<uint32_t>((sum & 0xffff) + (sum >> 16));
}

ChecksumDelta ChecksumDelta::between(const Socket& old_socket, const Socket& new_socket) {
  // The first 12 bytes of two mapped IPv4 addresses are equal, so they cancel out of the difference.
  const auto sum = [](const IpAddress& address) {
    return fold(ones_complement_sum(address.bytes, sizeof(address.bytes)));
  };
  const uint32_t address =
      static_cast<uint16_t>(~sum(old_socket.address)) + uint32_t{sum(new_socket.address)};
  const uint32_t port = static_cast<uint16_t>(~old_socket.port.raw) + uint32_t{new_socket.port.raw};
  return {.ip = old_socket.address.is_v4() ? fold(address) : uint16_t{0}, .transport = fold(address + port)};
}

}  // namespace teal
