// SPDX-License-Identifier: Apache-2.0
//
// One look at a frame: Ethernet, IPv4 or IPv6, then TCP, UDP, or an ICMP error with the header that it
// quotes. Every length is checked before a header is read; nothing behind `bytes` is ever touched. Later
// stages use the parsed form only.
//
// Lengths are those that the IP header gives; a frame may be longer (Ethernet pads to 60 bytes), never
// shorter. Checksums are not looked at: a packet that arrived broken leaves broken (rewrite.h).
#pragma once

#include <cstdint>

#include "dataplane/packet/ip_address.h"

namespace teal {

enum class ParseResult : uint8_t {
  kFlowPacket,  // TCP or UDP, whole header there
  kIcmpError,   // an ICMP or ICMPv6 error that quotes TCP or UDP ports
  kOther,       // sound as far as it was read, but nothing that can belong to a flow: see below
  kFragment,    // an IPv4 or IPv6 fragment, first or later, but not an "atomic" one (RFC 6946): that is whole
  kTruncated,   // the IP length goes beyond the frame, or a header goes beyond the frame or the IP length
  kBadHeader,   // a field contradicts itself: version, header length, TCP data offset, UDP length, an IPv4
                // option's length, or an IPv4-mapped address in an IPv6 header (which would pass for an IPv4
                // one here)
};

// kOther is the kernel's to judge:
//   - not IP, or not untagged: ARP, 802.1Q, LLC
//   - not TCP, UDP or an ICMP error: ND, echo, OSPF, IPsec, IPv6 extension headers unknown or more than six
//   - source routed through this host (IPv4 LSRR, SSRR; an IPv6 routing header with segments left): the
//   destination is
//     not the one that the transport checksum covers, so a VIP there is a waypoint and no service
//   - ICMP redirects, which concern one link and are not forwarded (RFC 1812, 5.2.7.2)
//   - ICMP messages that name no flow: shorter than a header, or quoting anything but TCP or UDP up to its
//   ports

inline constexpr uint8_t kTcpFin = 0x01;
inline constexpr uint8_t kTcpSyn = 0x02;
inline constexpr uint8_t kTcpRst = 0x04;
inline constexpr uint8_t kTcpAck = 0x10;

// What a packet is but for its addresses: all that is asked for once its flow has a name. Protocol and flags
// are those of the flow's packet: for an ICMP error, of the packet that it quotes. Where there is no flow,
// protocol and TTL are there as soon as a sound IP header is. Offsets count from the first byte of the frame.
struct PacketShape {
  static constexpr uint16_t l3_offset = 14;

  ParseResult result = ParseResult::kTruncated;
  bool is_v4 = false;
  uint8_t ttl = 0;  // or hop limit; of the outer header
  uint8_t protocol =
      0;  // kProtocolTcp, kProtocolUdp, or what the IP header (or its last extension header) says
  uint8_t tcp_flags = 0;          // 0 for UDP, and for a quoted header
  uint16_t l4_offset = 0;         // for an ICMP error, of the ICMP header
  uint16_t payload_bytes = 0;     // behind the TCP or UDP header, by the IP length and not by the frame's
  uint16_t quoted_l3_offset = 0;  // ICMP errors only
  uint16_t quoted_l4_offset = 0;  // ICMP errors only; at least 4 bytes (the ports) are there
  uint16_t quoted_l4_bytes = 0;   // ICMP errors only; how much of the quoted TCP or UDP packet is there

  friend bool operator==(const PacketShape&, const PacketShape&) = default;
};
static_assert(sizeof(PacketShape) == 16);

// Addresses and ports, too, are those of the flow's packet. Without a flow, addresses are there as soon as a
// sound IP header is, and ports are 0.
struct ParsedPacket : PacketShape {
  IpAddress source;
  IpAddress destination;
  Be16 source_port;
  Be16 destination_port;

  friend bool operator==(const ParsedPacket&, const ParsedPacket&) = default;
};

ParsedPacket parse(const uint8_t* frame, uint32_t bytes);

}  // namespace teal
