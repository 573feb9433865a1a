// SPDX-License-Identifier: Apache-2.0
//
// Checksums by the letter of RFC 1071, over every byte, one pair at a time. Tests compare
// dataplane/packet/checksum.h with this, so nothing is shared with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace teal::test {

// In host order. With the checksum field inside `bytes` at 0 it is what belongs there.
uint16_t plain_checksum(std::span<const uint8_t> bytes);

// The pseudo header of TCP, UDP and ICMPv6 (RFC 9293, 3.1; RFC 8200, 8.1) for addresses of 4 or 16 bytes
// each, and `segment`.
uint16_t plain_transport_checksum(std::span<const uint8_t> source, std::span<const uint8_t> destination,
                                  uint8_t protocol, std::span<const uint8_t> segment);

// Names each checksum of an Ethernet frame that is wrong, "ip", "tcp", "udp", "icmp", or of a packet that an
// ICMP error quotes, "quoted ip", ...; empty if all are right. Counted as right: a UDP checksum of 0 over
// IPv4, checksums that cannot be computed as bytes are missing (fragments, short quotes), and what is no IP.
// Fit for any bytes. Extension headers are followed as parse() follows them.
std::vector<std::string> wrong_checksums(std::span<const uint8_t> frame);

inline bool checksums_are_right(std::span<const uint8_t> frame) {
  return wrong_checksums(frame).empty();
}

}  // namespace teal::test
