// SPDX-License-Identifier: Apache-2.0
//
// parse() for the packets that nearly all are: TCP or UDP, whole, right behind an IPv4 header without options
// or an IPv6 header without extensions. By a few loads of whole words, inline in the one loop that it is for
// (classify.cc). What it does not take says nothing about the packet: parse() judges.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "dataplane/packet/parse.h"

namespace teal {
namespace plain {

static_assert(std::endian::native == std::endian::little);

template <typename T>
T load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}
inline uint32_t load_be16(const uint8_t* at) {
  return __builtin_bswap16(load<uint16_t>(at));
}

inline constexpr uint32_t kEthernetBytes = PacketShape::l3_offset;
inline constexpr uint32_t kIpv4Bytes = 20, kIpv6Bytes = 40, kUdpBytes = 8, kTcpBytes = 20;

// Of a header that has `bytes` up to the end of its IP packet.
[[gnu::always_inline]] inline bool parse_transport(const uint8_t* header, uint32_t bytes,
                                                   ParsedPacket& packet) {
  uint32_t header_bytes = kUdpBytes;
  if (packet.protocol == kProtocolUdp) {
    if (bytes < kUdpBytes) return false;
    const uint32_t udp_bytes = load_be16(header + 4);
    if (udp_bytes < kUdpBytes || udp_bytes > bytes) return false;
  } else if (packet.protocol == kProtocolTcp) {
    if (bytes < kTcpBytes) return false;
    const uint32_t offset_and_flags = load<uint16_t>(header + 12);
    header_bytes = (offset_and_flags >> 2) & 0x3c;
    if (header_bytes < kTcpBytes || header_bytes > bytes) return false;
    packet.tcp_flags = static_cast<uint8_t>(offset_and_flags >> 8);
  } else {
    return false;
  }
  packet.payload_bytes = static_cast<uint16_t>(bytes - header_bytes);
  packet.source_port.raw = load<uint16_t>(header);
  packet.destination_port.raw = load<uint16_t>(header + 2);
  packet.result = ParseResult::kFlowPacket;
  return true;
}

}  // namespace plain

// Each fills `packet`, which is fresh, as parse() would; or returns false, with anything in it.
[[gnu::always_inline]] inline bool parse_plain_ipv4(const uint8_t* frame, uint32_t bytes,
                                                    ParsedPacket& packet) {
  using namespace plain;
  constexpr uint32_t kLeast = kEthernetBytes + kIpv4Bytes + kUdpBytes;
  constexpr uint64_t kStart = 0x45'0008, kStartMask = 0xff'ffff;  // Ethertype, version and header length
  constexpr uint64_t kFragmentMask = 0xff3f;                      // more fragments, or an offset
  if (bytes < kLeast) return false;
  const uint8_t* header = frame + kEthernetBytes;
  const auto from_ether_type = load<uint64_t>(frame + 12);
  const auto from_fragment = load<uint64_t>(header + 6);
  if ((from_ether_type & kStartMask) != kStart || (from_fragment & kFragmentMask) != 0) return false;
  const uint32_t total_bytes = load_be16(header + 2);
  if (total_bytes < kIpv4Bytes || total_bytes > bytes - kEthernetBytes) return false;
  packet.is_v4 = true;
  packet.ttl = static_cast<uint8_t>(from_fragment >> 16);
  packet.protocol = static_cast<uint8_t>(from_fragment >> 24);
  packet.l4_offset = kEthernetBytes + kIpv4Bytes;
  packet.source = IpAddress::from_v4(header + 12);
  packet.destination = IpAddress::from_v4(header + 16);
  return parse_transport(header + kIpv4Bytes, total_bytes - kIpv4Bytes, packet);
}

[[gnu::always_inline]] inline bool parse_plain_ipv6(const uint8_t* frame, uint32_t bytes,
                                                    ParsedPacket& packet) {
  using namespace plain;
  constexpr uint32_t kLeast = kEthernetBytes + kIpv6Bytes + kUdpBytes;
  constexpr uint32_t kStart = 0x60'dd86, kStartMask = 0xf0'ffff;  // Ethertype and version
  if (bytes < kLeast || (load<uint32_t>(frame + 12) & kStartMask) != kStart) return false;
  const uint8_t* header = frame + kEthernetBytes;
  const uint32_t payload_bytes = load_be16(header + 4);
  if (bytes < kEthernetBytes + kIpv6Bytes + payload_bytes) return false;
  packet.protocol = header[6];
  packet.ttl = header[7];
  packet.l4_offset = kEthernetBytes + kIpv6Bytes;
  packet.source = IpAddress::from_v6(header + 8);
  packet.destination = IpAddress::from_v6(header + 24);
  if (packet.source.is_v4() || packet.destination.is_v4()) return false;
  return parse_transport(header + kIpv6Bytes, payload_bytes, packet);
}

}  // namespace teal
