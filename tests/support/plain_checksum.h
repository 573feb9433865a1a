// SPDX-License-Identifier: Apache-2.0
//
// Checksums as RFC 1071 defines them, over every byte, one pair at a time. Tests compare
// dataplane/packet/checksum.h with these functions, so the two share no code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace teal::test {

// The checksum of `bytes`, in host order. If the checksum field in `bytes` is 0, the result belongs into that
// field.
uint16_t plain_checksum(std::span<const uint8_t> bytes);

// The pseudo header of TCP, UDP and ICMPv6 (RFC 9293, 3.1; RFC 8200, 8.1) for addresses of 4 or 16 bytes
// each, and `segment`.
uint16_t plain_transport_checksum(std::span<const uint8_t> source, std::span<const uint8_t> destination,
                                  uint8_t protocol, std::span<const uint8_t> segment);

// Returns the names of the wrong checksums of an Ethernet frame: "ip", "tcp", "udp", "icmp", and "quoted ip"
// and so on for the packet that an ICMP error quotes. Empty if all are right. These count as right: a UDP
// checksum of 0 over IPv4, checksums that cannot be computed because bytes are missing (fragments, short
// quotes), and frames without IP. Accepts any bytes. Skips the same extension headers as parse().
std::vector<std::string> wrong_checksums(std::span<const uint8_t> frame);

inline bool checksums_are_right(std::span<const uint8_t> frame) {
  return wrong_checksums(frame).empty();
}

}  // namespace teal::test
