// SPDX-License-Identifier: Apache-2.0
//
// TCP segments that Teal makes itself: no payload, no options, headers that owe nothing to a packet that came
// in. All else that leaves is a packet that came in, rewritten (rewrite.h).
#pragma once

#include <cstdint>

#include "dataplane/packet/big_endian.h"
#include "dataplane/packet/ip_address.h"
#include "dataplane/packet/parse.h"

namespace teal {

struct TcpSegment {
  Socket source;  // both of one family; their protocol is not looked at
  Socket destination;
  Be32 sequence;
  Be32 acknowledgement;
  uint8_t flags = 0;
};

// The longest frame of a segment: Ethernet, IPv6, TCP.
inline constexpr uint32_t kTcpSegmentBytes = 14 + 40 + 20;

// Writes the frame but for its Ethernet addresses, checksums computed in full, and returns its bytes: 54 or
// kTcpSegmentBytes.
uint32_t write_tcp_segment(uint8_t* frame, const TcpSegment& segment);

// In place of a TCP packet with the ACK flag, which parse() took for a flow's: the RST that its sender takes,
// whose sequence number is the one that the packet asks for next (RFC 9293, 3.10.7.1). Returns the frame's
// bytes, never more than the packet had; the Ethernet addresses are left as they were.
uint32_t turn_into_rst(uint8_t* frame, const ParsedPacket& packet);

}  // namespace teal
