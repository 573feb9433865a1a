// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/packet/parse_plain.h"

namespace teal::test {

// Returns true if parse_plain_ipv4() and parse_plain_ipv6() agree with parse() about a frame. Each must
// accept exactly the plain packets of its family, with the same parsed form.
inline bool plain_agrees(const uint8_t* frame, uint32_t bytes, const ParsedPacket& parsed) {
  const auto fills_its_packet = [&] {
    return plain::load_be16(frame + parsed.l4_offset + 4) == kUdpBytes + parsed.payload_bytes;
  };
  const bool flow =
      parsed.result == ParseResult::kFlowPacket && (parsed.protocol != kProtocolUdp || fills_its_packet());
  const bool plain4 = flow && parsed.is_v4 && parsed.l4_offset == kEthernetBytes + kIpv4Bytes;
  const bool plain6 = flow && !parsed.is_v4 && parsed.l4_offset == kEthernetBytes + kIpv6Bytes;
  const auto same = [&](const PlainPacket& packet) {
    ParsedPacket as_parsed;
    packet.put_shape(as_parsed);
    as_parsed.source = packet.source, as_parsed.destination = packet.destination;
    as_parsed.source_port = packet.source_port, as_parsed.destination_port = packet.destination_port;
    return as_parsed == parsed && packet.ttl() == parsed.ttl && packet.protocol() == parsed.protocol;
  };
  PlainPacket as4, as6;
  return parse_plain_ipv4(frame, bytes, as4) == plain4 && (!plain4 || same(as4)) &&
         parse_plain_ipv6(frame, bytes, as6) == plain6 && (!plain6 || same(as6));
}

}  // namespace teal::test
