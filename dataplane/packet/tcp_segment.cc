// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/tcp_segment.h"

#include <cstring>

#include "dataplane/packet/checksum.h"

namespace teal {
namespace {

constexpr uint8_t kHops = 64;                // TTL or hop limit
constexpr uint32_t kTcpAcknowledgement = 8;  // from the first byte of the TCP header

template <typename T>
void store(uint8_t* at, const T& value) {
  std::memcpy(at, &value, sizeof(value));
}
void store16(uint8_t* at, uint32_t value) {
  store(at, Be16::from_host(static_cast<uint16_t>(value)));
}

void write_ipv4(uint8_t* l3, const TcpSegment& segment) {
  std::memset(l3, 0, kIpv4Bytes);
  l3[0] = 0x45;
  store16(l3 + 2, kIpv4Bytes + kTcpBytes);
  store16(l3 + 6, 0x4000);  // don't fragment: the identification may be 0 then (RFC 6864, 4.1)
  l3[8] = kHops;
  l3[9] = kProtocolTcp;
  std::memcpy(l3 + 12, segment.source.address.v4_bytes(), 4);
  std::memcpy(l3 + 16, segment.destination.address.v4_bytes(), 4);
  const auto sum = fold(ones_complement_sum(l3, kIpv4Bytes));
  store(l3 + 10, static_cast<uint16_t>(~sum));
}

void write_ipv6(uint8_t* l3, const TcpSegment& segment) {
  std::memset(l3, 0, 8);
  l3[0] = 0x60;
  store16(l3 + 4, kTcpBytes);
  l3[6] = kProtocolTcp;
  l3[7] = kHops;
  std::memcpy(l3 + 8, segment.source.address.bytes, 16);
  std::memcpy(l3 + 24, segment.destination.address.bytes, 16);
}

// `addresses` are the two addresses in the IP header. With protocol and length they make the pseudo header
// that the checksum covers (RFC 9293, 3.1; RFC 8200, 8.1).
void write_tcp(uint8_t* l4, const TcpSegment& segment, const uint8_t* addresses, uint32_t address_bytes) {
  std::memset(l4, 0, kTcpBytes);
  store(l4, segment.source.port);
  store(l4 + 2, segment.destination.port);
  store(l4 + 4, segment.sequence);
  store(l4 + kTcpAcknowledgement, segment.acknowledgement);
  l4[12] = kTcpBytes / 4 << 4;
  l4[13] = segment.flags;
  uint32_t sum = ones_complement_sum(addresses, address_bytes);
  sum += Be16::from_host(kProtocolTcp).raw + uint32_t{Be16::from_host(kTcpBytes).raw};
  store(l4 + 16, static_cast<uint16_t>(~fold(ones_complement_sum(l4, kTcpBytes, sum))));
}

}  // namespace

uint32_t write_tcp_segment(uint8_t* frame, const TcpSegment& segment) {
  uint8_t* l3 = frame + kEthernetBytes;
  if (segment.source.address.is_v4()) {
    store16(frame + 12, kEtherTypeIpv4);
    write_ipv4(l3, segment);
    write_tcp(l3 + kIpv4Bytes, segment, l3 + 12, 8);
    return kEthernetBytes + kIpv4Bytes + kTcpBytes;
  }
  store16(frame + 12, kEtherTypeIpv6);
  write_ipv6(l3, segment);
  write_tcp(l3 + kIpv6Bytes, segment, l3 + 8, 32);
  return kTcpSegmentBytes;
}

uint32_t turn_into_rst(uint8_t* frame, const ParsedPacket& packet) {
  Be32 wanted;
  std::memcpy(&wanted.raw, frame + packet.l4_offset + kTcpAcknowledgement, 4);
  return write_tcp_segment(frame, {.source = {packet.destination, packet.destination_port, kProtocolTcp},
                                   .destination = {packet.source, packet.source_port, kProtocolTcp},
                                   .sequence = wanted,
                                   .acknowledgement = {},
                                   .flags = kTcpRst});
}

}  // namespace teal
