// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/rewrite.h"

namespace teal {

using namespace fields;

namespace {

// Replaces an address and returns the checksum difference. ICMP errors are rare, so the difference is
// computed per packet from the old bytes.
uint16_t replace_address(uint8_t* at, bool is_v4, const IpAddress& address) {
  const uint32_t bytes = is_v4 ? 4 : 16;
  const uint8_t* from = is_v4 ? address.v4_bytes() : address.bytes;
  const uint16_t old_sum = fold(ones_complement_sum(at, bytes));
  std::memcpy(at, from, bytes);
  return change(old_sum, fold(ones_complement_sum(from, bytes)));
}

// Replaces one socket of the quoted packet and updates the quoted checksums. Returns the difference for the
// ICMP checksum. All these fields have even offsets from the ICMP header, so the 16-bit words of all sums
// coincide.
uint16_t replace_quoted(uint8_t* frame, const PacketShape& packet, uint32_t ipv4_field, uint32_t ipv6_field,
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

// Replaces an address of the outer IP header. Returns the difference for the ICMP checksum: 0 for IPv4, the
// change of the pseudo header for IPv6 (RFC 4443, 2.3).
uint16_t replace_outer(uint8_t* frame, const PacketShape& packet, uint32_t ipv4_field, uint32_t ipv6_field,
                       const IpAddress& address) {
  uint8_t* l3 = frame + packet.l3_offset;
  if (!packet.is_v4) return replace_address(l3 + ipv6_field, false, address);
  update(l3 + kIpv4Checksum, replace_address(l3 + ipv4_field, true, address));
  return 0;
}

}  // namespace

void rewrite_icmp_to_backend(uint8_t* frame, const PacketShape& packet, const Socket& /*vip*/,
                             const Socket& backend) {
  const uint16_t quoted = replace_quoted(frame, packet, kIpv4Source, kIpv6Source, kSourcePort, backend);
  const uint16_t outer = replace_outer(frame, packet, kIpv4Destination, kIpv6Destination, backend.address);
  update(frame + packet.l4_offset + kIcmpChecksum, add(quoted, outer));
}

void rewrite_icmp_to_client(uint8_t* frame, const PacketShape& packet, const Socket& vip,
                            const Socket& backend) {
  uint16_t delta = replace_quoted(frame, packet, kIpv4Destination, kIpv6Destination, kDestinationPort, vip);
  const uint8_t* l3 = frame + packet.l3_offset;
  const IpAddress sender =
      packet.is_v4 ? IpAddress::from_v4(l3 + kIpv4Source) : IpAddress::from_v6(l3 + kIpv6Source);
  if (sender == backend.address)
    delta = add(delta, replace_outer(frame, packet, kIpv4Source, kIpv6Source, vip.address));
  update(frame + packet.l4_offset + kIcmpChecksum, delta);
}

}  // namespace teal
