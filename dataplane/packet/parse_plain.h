// SPDX-License-Identifier: Apache-2.0
//
// A fast, inline version of parse() for plain packets, which are nearly all: a whole TCP or UDP packet after
// an IPv4 header without options or an IPv6 header without extensions. The UDP length must equal the IP
// length.
//
// The functions load whole words and compare several fields at once. classify.cc, the only user, calls
// parse() for every packet that they do not accept. Not accepted therefore does not mean invalid.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/packet/header_fields.h"
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

}  // namespace plain

// A ParsedPacket whose shape is held in two words, so that two stores write it. Byte n of shape_words is byte
// n of a PacketShape (the static_assert below).
struct PlainPacket {
  uint64_t shape_words[2];
  IpAddress source;
  IpAddress destination;
  Be16 source_port;
  Be16 destination_port;

  uint8_t ttl() const { return static_cast<uint8_t>(shape_words[0] >> 16); }
  uint8_t protocol() const { return static_cast<uint8_t>(shape_words[0] >> 24); }
  void put_shape(PacketShape& into) const {
    std::memcpy(static_cast<void*>(&into), shape_words, sizeof(into));
  }
};
static_assert(offsetof(PacketShape, is_v4) == 1 && offsetof(PacketShape, ttl) == 2 &&
              offsetof(PacketShape, protocol) == 3 && offsetof(PacketShape, tcp_flags) == 4 &&
              offsetof(PacketShape, l4_offset) == 6 && offsetof(PacketShape, payload_bytes) == 8 &&
              ParseResult::kFlowPacket == ParseResult{0});

namespace plain {

// Parses a TCP or UDP header. `bytes` counts from the header to the end of the IP packet and is at least
// kUdpBytes. `shape` is the first word of the shape without the TCP flags.
[[gnu::always_inline]] inline bool parse_transport(const uint8_t* header, uint32_t bytes, uint64_t shape,
                                                   PlainPacket& packet) {
  uint32_t header_bytes = kUdpBytes;
  const auto protocol = static_cast<uint8_t>(shape >> 24);
  if (protocol == kProtocolUdp) {
    if (load_be16(header + 4) != bytes) return false;
  } else if (protocol == kProtocolTcp) {
    if (bytes < kTcpBytes) return false;
    const uint32_t offset_and_flags = load<uint16_t>(header + 12);
    header_bytes = (offset_and_flags >> 2) & 0x3c;
    if (header_bytes < kTcpBytes || header_bytes > bytes) return false;
    shape |= uint64_t{offset_and_flags >> 8} << 32;
  } else {
    return false;
  }
  packet.shape_words[0] = shape;
  packet.shape_words[1] = bytes - header_bytes;
  packet.source_port.raw = load<uint16_t>(header);
  packet.destination_port.raw = load<uint16_t>(header + 2);
  return true;
}

constexpr uint64_t shape_word(bool is_v4, uint32_t l4_offset) {
  return uint64_t{is_v4} << 8 | uint64_t{l4_offset} << 48;
}

}  // namespace plain

// Both functions fill `packet` as parse() does and return true, or return false and leave `packet` undefined.
[[gnu::always_inline]] inline bool parse_plain_ipv4(const uint8_t* frame, uint32_t bytes,
                                                    PlainPacket& packet) {
  using namespace plain;
  constexpr uint32_t kHeaderBytes = kEthernetBytes + kIpv4Bytes + kUdpBytes;
  constexpr uint64_t kStart = 0x45'0008, kStartMask = 0xff'ffff;  // EtherType, version and header length
  constexpr uint64_t kFragmentMask = 0xff3f;                      // more fragments, or an offset
  constexpr uint64_t kTtlAndProtocol = 0xffff'0000;
  if (bytes < kHeaderBytes) return false;
  const uint8_t* header = frame + kEthernetBytes;
  const auto from_ether_type = load<uint32_t>(frame + 12);
  const auto from_fragment = load<uint32_t>(header + 6);
  if ((from_ether_type & kStartMask) != kStart || (from_fragment & kFragmentMask) != 0) return false;
  const uint32_t total_bytes = load_be16(header + 2);
  // The subtraction wraps if total_bytes is too small, and the result is then larger than the right side.
  if (total_bytes - (kIpv4Bytes + kUdpBytes) > bytes - kHeaderBytes) return false;
  packet.source = IpAddress::from_v4(header + 12);
  packet.destination = IpAddress::from_v4(header + 16);
  return parse_transport(header + kIpv4Bytes, total_bytes - kIpv4Bytes,
                         (from_fragment & kTtlAndProtocol) | shape_word(true, kEthernetBytes + kIpv4Bytes),
                         packet);
}

[[gnu::always_inline]] inline bool parse_plain_ipv6(const uint8_t* frame, uint32_t bytes,
                                                    PlainPacket& packet) {
  using namespace plain;
  constexpr uint32_t kHeaderBytes = kEthernetBytes + kIpv6Bytes + kUdpBytes;
  constexpr uint32_t kStart = 0x60'dd86, kStartMask = 0xf0'ffff;  // EtherType and version
  if (bytes < kHeaderBytes || (load<uint32_t>(frame + 12) & kStartMask) != kStart) return false;
  const uint8_t* header = frame + kEthernetBytes;
  const uint32_t payload_bytes = load_be16(header + 4);
  if (payload_bytes - kUdpBytes > bytes - kHeaderBytes) return false;
  packet.source = IpAddress::from_v6(header + 8);
  packet.destination = IpAddress::from_v6(header + 24);
  if (packet.source.is_v4() || packet.destination.is_v4()) return false;
  const uint64_t protocol = header[6], hop_limit = header[7];
  return parse_transport(header + kIpv6Bytes, payload_bytes,
                         protocol << 24 | hop_limit << 16 | shape_word(false, kEthernetBytes + kIpv6Bytes),
                         packet);
}

}  // namespace teal
