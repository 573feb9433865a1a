// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/rewrite.h"

#include <cassert>

namespace teal {
namespace {

// From the first byte of the header.
constexpr uint32_t kIpv4Ttl = 8;
constexpr uint32_t kIpv4Checksum = 10;
constexpr uint32_t kIpv4Source = 12;
constexpr uint32_t kIpv4Destination = 16;
constexpr uint32_t kIpv6HopLimit = 7;
constexpr uint32_t kIpv6Source = 8;
constexpr uint32_t kIpv6Destination = 24;
constexpr uint32_t kSourcePort = 0;  // TCP and UDP
constexpr uint32_t kDestinationPort = 2;
constexpr uint32_t kUdpChecksum = 6;
constexpr uint32_t kTcpChecksum = 16;
constexpr uint32_t kIcmpChecksum = 2;

uint16_t load_raw(const uint8_t* at) {
  uint16_t value;
  std::memcpy(&value, at, 2);
  return value;
}
void store_raw(uint8_t* at, uint16_t value) {
  std::memcpy(at, &value, 2);
}

// What a change of one word adds to a sum over it: ~m + m'.
uint16_t change(uint16_t old_word, uint16_t new_word) {
  return fold(static_cast<uint32_t>(static_cast<uint16_t>(~old_word)) + new_word);
}

uint16_t add(uint16_t a, uint16_t b) {
  return fold(uint32_t{a} + b);
}

// Each returns what its own change adds to a sum over the checksum field, for the ICMP checksum that covers
// it too.
uint16_t update(uint8_t* checksum, uint16_t delta) {
  const uint16_t old_value = load_raw(checksum);
  const uint16_t new_value = updated_checksum(old_value, delta);
  store_raw(checksum, new_value);
  return change(old_value, new_value);
}

uint16_t update_transport(uint8_t* l4, uint8_t protocol, uint16_t delta) {
  if (protocol == kProtocolTcp) [[likely]]
    return update(l4 + kTcpChecksum, delta);
  const uint16_t old_value = load_raw(l4 + kUdpChecksum);
  if (old_value == 0) return 0;
  uint16_t new_value = updated_checksum(old_value, delta);
  if (new_value == 0) new_value = 0xffff;
  store_raw(l4 + kUdpChecksum, new_value);
  return change(old_value, new_value);
}

void exchange(uint8_t* frame, const ParsedPacket& packet, uint32_t ipv4_field, uint32_t ipv6_field,
              uint32_t port_field, const Socket& socket, const ChecksumDelta& delta) {
  uint8_t* l3 = frame + packet.l3_offset;
  uint8_t* l4 = frame + packet.l4_offset;
  if (packet.is_v4) [[likely]] {
    std::memcpy(l3 + ipv4_field, socket.address.v4_bytes(), 4);
    update(l3 + kIpv4Checksum, delta.ip);
  } else {
    std::memcpy(l3 + ipv6_field, socket.address.bytes, 16);
  }
  store_raw(l4 + port_field, socket.port.raw);
  update_transport(l4, packet.protocol, delta.transport);
}

// ICMP errors are rare, so their deltas are taken from the bytes that are there.
uint16_t replace_address(uint8_t* at, bool is_v4, const IpAddress& address) {
  const uint32_t bytes = is_v4 ? 4 : 16;
  const uint8_t* from = is_v4 ? address.v4_bytes() : address.bytes;
  const uint16_t old_sum = fold(ones_complement_sum(at, bytes));
  std::memcpy(at, from, bytes);
  return change(old_sum, fold(ones_complement_sum(from, bytes)));
}

// Returns what it adds to the ICMP checksum. All fields lie at even distances from the ICMP header, so words
// stay words.
uint16_t replace_quoted(uint8_t* frame, const ParsedPacket& packet, uint32_t ipv4_field, uint32_t ipv6_field,
                        uint32_t port_field, const Socket& socket) {
  uint8_t* l3 = frame + packet.quoted_l3_offset;
  uint8_t* l4 = frame + packet.quoted_l4_offset;
  const uint16_t address =
      replace_address(l3 + (packet.is_v4 ? ipv4_field : ipv6_field), packet.is_v4, socket.address);
  const uint16_t port = change(load_raw(l4 + port_field), socket.port.raw);
  store_raw(l4 + port_field, socket.port.raw);

  const uint16_t pseudo_header_and_port = add(address, port);
  uint16_t total = pseudo_header_and_port;
  if (packet.is_v4) total = add(total, update(l3 + kIpv4Checksum, address));
  const uint32_t checksum_end = (packet.protocol == kProtocolTcp ? kTcpChecksum : kUdpChecksum) + 2;
  if (packet.quoted_l4_bytes >= checksum_end)
    total = add(total, update_transport(l4, packet.protocol, pseudo_header_and_port));
  return total;
}

// Returns what it adds to the ICMP checksum: nothing for IPv4, the pseudo header for IPv6 (RFC 4443, 2.3).
uint16_t replace_outer(uint8_t* frame, const ParsedPacket& packet, uint32_t ipv4_field, uint32_t ipv6_field,
                       const IpAddress& address) {
  uint8_t* l3 = frame + packet.l3_offset;
  if (!packet.is_v4) return replace_address(l3 + ipv6_field, false, address);
  update(l3 + kIpv4Checksum, replace_address(l3 + ipv4_field, true, address));
  return 0;
}

}  // namespace

void rewrite_destination(uint8_t* frame, const ParsedPacket& packet, const Socket& socket,
                         const ChecksumDelta& delta) {
  exchange(frame, packet, kIpv4Destination, kIpv6Destination, kDestinationPort, socket, delta);
}

void rewrite_source(uint8_t* frame, const ParsedPacket& packet, const Socket& socket,
                    const ChecksumDelta& delta) {
  exchange(frame, packet, kIpv4Source, kIpv6Source, kSourcePort, socket, delta);
}

void rewrite_icmp_to_backend(uint8_t* frame, const ParsedPacket& packet, const Socket& /*vip*/,
                             const Socket& backend) {
  const uint16_t quoted = replace_quoted(frame, packet, kIpv4Source, kIpv6Source, kSourcePort, backend);
  const uint16_t outer = replace_outer(frame, packet, kIpv4Destination, kIpv6Destination, backend.address);
  update(frame + packet.l4_offset + kIcmpChecksum, add(quoted, outer));
}

void rewrite_icmp_to_client(uint8_t* frame, const ParsedPacket& packet, const Socket& vip,
                            const Socket& backend) {
  uint16_t delta = replace_quoted(frame, packet, kIpv4Destination, kIpv6Destination, kDestinationPort, vip);
  const uint8_t* l3 = frame + packet.l3_offset;
  const IpAddress sender =
      packet.is_v4 ? IpAddress::from_v4(l3 + kIpv4Source) : IpAddress::from_v6(l3 + kIpv6Source);
  if (sender == backend.address)
    delta = add(delta, replace_outer(frame, packet, kIpv4Source, kIpv6Source, vip.address));
  update(frame + packet.l4_offset + kIcmpChecksum, delta);
}

void decrement_ttl(uint8_t* frame, const ParsedPacket& packet) {
  uint8_t* l3 = frame + packet.l3_offset;
  uint8_t* ttl = l3 + (packet.is_v4 ? kIpv4Ttl : kIpv6HopLimit);
  assert(*ttl > 1);
  if (!packet.is_v4) {
    --*ttl;
    return;
  }
  --*ttl;
  // ~m + m' for a word m of which the TTL is the low byte as a native load, and m' = m - 1: no carry, as the
  // TTL is not 0.
  constexpr uint16_t kOneLess = 0xfffe;
  update(l3 + kIpv4Checksum, kOneLess);
}

}  // namespace teal
