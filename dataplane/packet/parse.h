// SPDX-License-Identifier: Apache-2.0
//
// parse() reads a frame once: Ethernet, IPv4 or IPv6, then TCP, UDP, or an ICMP error with the header that it
// quotes. It checks each length before it reads a header, and never reads past `bytes`. Later stages use only
// the parsed form.
//
// Lengths come from the IP header. A frame may be longer (Ethernet pads to 60 bytes) but not shorter. parse()
// does not verify checksums: a packet that arrived broken leaves broken (rewrite.h).
//
// Worked example: a TCP SYN without options, from 198.18.1.101:40000 to 198.18.0.10:80, in a frame of 60
// bytes (54 and 6 of padding), gives
//
//   result kFlowPacket, is_v4, protocol 6, tcp_flags 0x02, l3_offset 14, l4_offset 34, payload_bytes 0
//
// Packets of kOther go to the kernel:
//   - not IP, or not untagged: ARP, 802.1Q, LLC
//   - not TCP, UDP or an ICMP error: ND, echo, OSPF, IPsec; unknown IPv6 extension headers, or more than six
//   - source routed through this host (IPv4 LSRR or SSRR, an IPv6 routing header with segments left). The
//     transport checksum covers the final destination, not this one, so a VIP there is a waypoint only.
//   - ICMP redirects: they concern one link and are not forwarded (RFC 1812, 5.2.7.2)
//   - ICMP messages that name no flow: shorter than a header, or quoting anything but TCP or UDP with its
//     ports
#pragma once

#include <cstdint>

#include "dataplane/packet/ip_address.h"

namespace teal {

enum class ParseResult : uint8_t {
  kFlowPacket,  // TCP or UDP with its whole header
  kIcmpError,   // an ICMP or ICMPv6 error that quotes the ports of TCP or UDP
  kOther,       // no error found, but the packet cannot belong to a flow: see above
  kFragment,    // an IPv4 or IPv6 fragment, first or later; an "atomic" fragment (RFC 6946) counts as whole
  kTruncated,   // the IP length exceeds the frame, or a header exceeds the frame or the IP length
  kBadHeader,   // an invalid version, header length, TCP data offset, UDP length or IPv4 option length; or an
                // IPv4-mapped address in an IPv6 header, which IpAddress could not tell from an IPv4 address
};

inline constexpr uint8_t kTcpFin = 0x01;
inline constexpr uint8_t kTcpSyn = 0x02;
inline constexpr uint8_t kTcpRst = 0x04;
inline constexpr uint8_t kTcpAck = 0x10;

// The parsed form without addresses and ports. The stages after classification need no more, as the flow key
// then names the flow. For an ICMP error, protocol and flags belong to the quoted packet. In every result but
// kFlowPacket and kIcmpError, only protocol and TTL may be used, and only if the IP header was valid. Offsets
// count from the first byte of the frame.
struct PacketShape {
  static constexpr uint16_t l3_offset = 14;

  ParseResult result = ParseResult::kTruncated;
  bool is_v4 = false;
  uint8_t ttl = 0;                // or hop limit; of the outer header
  uint8_t protocol = 0;           // from the IP header or its last extension header
  uint8_t tcp_flags = 0;          // 0 for UDP, and for a quoted header
  uint16_t l4_offset = 0;         // for an ICMP error, of the ICMP header
  uint16_t payload_bytes = 0;     // after the TCP or UDP header, by the IP length, not the frame's length
  uint16_t quoted_l3_offset = 0;  // ICMP errors only
  uint16_t quoted_l4_offset = 0;  // ICMP errors only; at least 4 bytes (the ports) are present
  uint16_t quoted_l4_bytes = 0;   // ICMP errors only; quoted bytes, from the TCP or UDP header on

  friend bool operator==(const PacketShape&, const PacketShape&) = default;
};
static_assert(sizeof(PacketShape) == 16);

// For an ICMP error, addresses and ports belong to the quoted packet. In every result but kFlowPacket and
// kIcmpError, ports are 0, and addresses are set if the IP header was valid.
struct ParsedPacket : PacketShape {
  IpAddress source;
  IpAddress destination;
  Be16 source_port;
  Be16 destination_port;

  friend bool operator==(const ParsedPacket&, const ParsedPacket&) = default;
};

ParsedPacket parse(const uint8_t* frame, uint32_t bytes);

}  // namespace teal
