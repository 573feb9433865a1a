// SPDX-License-Identifier: Apache-2.0
//
// The ICMP or ICMPv6 error that a host sends for a UDP packet to a closed port.
#pragma once

#include <cstdint>

#include "dataplane/packet/header_fields.h"
#include "dataplane/packet/parse.h"

namespace teal {

// An error is so many bytes longer than the UDP packet that it answers, at most.
inline constexpr uint32_t kPortUnreachableGrowth = kIpv6Bytes + kIcmpBytes;

// Overwrites a UDP packet by the "port unreachable" to its sender (RFC 792; RFC 4443, 3.1). The packet was
// parsed as kFlowPacket, and the frame has room for kPortUnreachableGrowth bytes more. The error's source is
// the packet's destination. It quotes the packet from its IP header on, as far as an ICMP packet of 576 bytes
// (RFC 1812, 4.3.2.3) or an ICMPv6 packet of 1,280 bytes has room. Returns the frame's length in bytes. The
// Ethernet addresses stay as they were.
uint32_t turn_into_port_unreachable(uint8_t* frame, const ParsedPacket& packet);

}  // namespace teal
