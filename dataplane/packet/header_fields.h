// SPDX-License-Identifier: Apache-2.0
//
// Sizes of headers, offsets of the fields that a rewrite changes, and updates of checksum fields.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/ip_address.h"

namespace teal {

inline constexpr uint32_t kEthernetBytes = 14;
inline constexpr uint32_t kIpv4Bytes = 20;  // without options
inline constexpr uint32_t kIpv6Bytes = 40;  // without extension headers
inline constexpr uint32_t kTcpBytes = 20;   // without options
inline constexpr uint32_t kUdpBytes = 8;
inline constexpr uint32_t kIcmpBytes = 8;

inline constexpr uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr uint16_t kEtherTypeIpv6 = 0x86dd;

namespace fields {

// Offsets count from the first byte of the field's own header.
inline constexpr uint32_t kIpv4Ttl = 8;
inline constexpr uint32_t kIpv4Checksum = 10;
inline constexpr uint32_t kIpv4Source = 12;
inline constexpr uint32_t kIpv4Destination = 16;
inline constexpr uint32_t kIpv6HopLimit = 7;
inline constexpr uint32_t kIpv6Source = 8;
inline constexpr uint32_t kIpv6Destination = 24;
inline constexpr uint32_t kSourcePort = 0;  // TCP and UDP
inline constexpr uint32_t kDestinationPort = 2;
inline constexpr uint32_t kUdpChecksum = 6;
inline constexpr uint32_t kTcpChecksum = 16;
inline constexpr uint32_t kIcmpChecksum = 2;

inline uint16_t load_raw(const uint8_t* at) {
  uint16_t value;
  std::memcpy(&value, at, 2);
  return value;
}
inline void store_raw(uint8_t* at, uint16_t value) {
  std::memcpy(at, &value, 2);
}

// Returns the difference that a change of one word makes to a sum over that word: ~m + m'.
inline uint16_t change(uint16_t old_word, uint16_t new_word) {
  return add(static_cast<uint16_t>(~old_word), new_word);
}

// Updates the checksum field at `checksum`. Returns the difference that the new field makes to a sum over it:
// the checksum of an ICMP error also covers the quoted checksums.
inline uint16_t update(uint8_t* checksum, uint16_t delta) {
  const uint16_t old_value = load_raw(checksum);
  const uint16_t new_value = updated_checksum(old_value, delta);
  store_raw(checksum, new_value);
  return change(old_value, new_value);
}

// Returns the same for the checksum of TCP or UDP. A UDP checksum of 0 means "none" and stays 0; a computed
// 0 is stored as 0xffff (RFC 768).
inline uint16_t update_transport(uint8_t* l4, uint8_t protocol, uint16_t delta) {
  if (protocol == kProtocolTcp) return update(l4 + kTcpChecksum, delta);
  const uint16_t old_value = load_raw(l4 + kUdpChecksum);
  if (old_value == 0) return 0;
  uint16_t new_value = updated_checksum(old_value, delta);
  if (new_value == 0) new_value = 0xffff;
  store_raw(l4 + kUdpChecksum, new_value);
  return change(old_value, new_value);
}

}  // namespace fields
}  // namespace teal
