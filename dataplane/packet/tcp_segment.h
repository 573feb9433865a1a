// SPDX-License-Identifier: Apache-2.0
//
// The numbers of a TCP segment, and segments that Teal builds itself: probes and RSTs, without payload and
// options.
#pragma once

#include <cstdint>

#include "dataplane/packet/big_endian.h"
#include "dataplane/packet/header_fields.h"
#include "dataplane/packet/ip_address.h"
#include "dataplane/packet/parse.h"

namespace teal {

struct TcpSegment {
  Socket source;  // same family as `destination`; the protocol of both is ignored
  Socket destination;
  Be32 sequence;
  Be32 acknowledgement;
  uint8_t flags = 0;
};

// The packet of these was parsed as kFlowPacket of TCP.
Be32 sequence_of(const uint8_t* frame, const PacketShape& packet);
Be32 acknowledgement_of(const uint8_t* frame, const PacketShape& packet);
// The number that acknowledges the whole packet: SYN, data and FIN.
uint32_t end_of_segment(const uint8_t* frame, const PacketShape& packet);

// The longest frame has this length.
inline constexpr uint32_t kTcpSegmentBytes = kEthernetBytes + kIpv6Bytes + kTcpBytes;

// Writes the whole frame except its Ethernet addresses, with full checksums. Returns the frame's length in
// bytes: 54 for IPv4, kTcpSegmentBytes for IPv6.
uint32_t write_tcp_segment(uint8_t* frame, const TcpSegment& segment);

// Overwrites a TCP packet by a RST to its sender. The packet has the ACK flag and was parsed as kFlowPacket.
// The RST's sequence number is the packet's acknowledgement number, so the sender accepts it (RFC 9293,
// 3.10.7.1). Returns the frame's length in bytes, at most the packet's. The Ethernet addresses stay as they
// were.
uint32_t turn_into_rst(uint8_t* frame, const ParsedPacket& packet);

// Overwrites any TCP packet except a RST by the RST that a closed port sends (RFC 9293, 3.10.7.1). With the
// ACK flag it is turn_into_rst(). Without the flag the RST has the sequence number 0 and acknowledges the
// packet. Returns the frame's length in bytes, at most the packet's.
uint32_t turn_into_refusal(uint8_t* frame, const ParsedPacket& packet);

}  // namespace teal
