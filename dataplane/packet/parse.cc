// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/parse.h"

#include "dataplane/packet/header_fields.h"

namespace teal {
namespace {

constexpr uint32_t kPortBytes = 4;  // both ports of TCP or UDP

constexpr uint8_t kProtocolIcmp = 1;
constexpr uint8_t kProtocolIcmp6 = 58;

constexpr uint16_t kIpv4FragmentMask = 0x3fff;  // more fragments, or an offset
constexpr uint16_t kIpv4OffsetMask = 0x1fff;

// Returns the 16-bit value in host order.
uint16_t load16(const uint8_t* at) {
  return static_cast<uint16_t>(at[0] << 8 | at[1]);
}

Be16 load_port(const uint8_t* at) {
  Be16 port;
  std::memcpy(&port.raw, at, 2);
  return port;
}

bool is_transport(uint8_t protocol) {
  return protocol == kProtocolTcp || protocol == kProtocolUdp;
}

// The transport header that follows the IP header and its extensions.
struct Transport {
  ParseResult result = ParseResult::kFlowPacket;  // else why no transport header follows
  uint8_t protocol = 0;
  uint32_t offset = 0;
};

// Masks of the 16-bit word in an IPv6 fragment header (RFC 8200, 4.5).
constexpr uint16_t kIpv6FragmentMask = 0xfff9;  // more fragments, or an offset
constexpr uint16_t kIpv6OffsetMask = 0xfff8;

// Skips the IPv6 extension headers (RFC 8200, 4) from `offset` on. `next_header` is the type of the first
// one, and `end` the end of the packet. A fragment header with a bit of `fragment_mask` set gives kFragment.
// At most six headers are skipped: hosts send fewer, and the bound limits the time per packet.
[[gnu::noinline]] Transport skip_extensions(const uint8_t* frame, uint8_t next_header, uint32_t offset,
                                            uint32_t end, uint16_t fragment_mask) {
  enum : uint8_t { kHopByHop = 0, kRouting = 43, kFragment = 44, kDestinationOptions = 60 };
  constexpr int kMaxExtensions = 6;

  const auto stop = [&](ParseResult why) { return Transport{why, next_header, offset}; };
  for (int count = 0; count <= kMaxExtensions; ++count) {
    switch (next_header) {
      case kHopByHop:
      case kRouting:
      case kFragment:
      case kDestinationOptions:
        break;
      default:
        return stop(ParseResult::kFlowPacket);
    }
    if (count == kMaxExtensions) break;
    if (end - offset < 8) return stop(ParseResult::kTruncated);
    const uint8_t* header = frame + offset;
    uint32_t header_bytes = 8;
    if (next_header == kFragment) {
      next_header = header[0];
      if ((load16(header + 2) & fragment_mask) != 0) return stop(ParseResult::kFragment);
    } else {
      header_bytes += 8u * header[1];
      if (end - offset < header_bytes) return stop(ParseResult::kTruncated);
      if (next_header == kRouting && header[3] != 0) return stop(ParseResult::kOther);  // segments left
      next_header = header[0];
    }
    offset += header_bytes;
  }
  return stop(ParseResult::kOther);
}

// Returns kFlowPacket if the IPv4 options are valid and hold no source route.
[[gnu::noinline]] ParseResult check_ipv4_options(const uint8_t* options, uint32_t bytes) {
  enum : uint8_t { kEnd = 0, kNoOperation = 1, kLooseSourceRoute = 131, kStrictSourceRoute = 137 };
  for (uint32_t at = 0; at < bytes && options[at] != kEnd;) {
    const uint8_t type = options[at];
    if (type == kNoOperation) {
      ++at;
      continue;
    }
    if (bytes - at < 2 || options[at + 1] < 2 || options[at + 1] > bytes - at) return ParseResult::kBadHeader;
    if (type == kLooseSourceRoute || type == kStrictSourceRoute) return ParseResult::kOther;
    at += options[at + 1];
  }
  return ParseResult::kFlowPacket;
}

bool is_error(bool is_v4, uint8_t type) {
  // RFC 792: unreachable, source quench, time exceeded, parameter problem. RFC 4443: unreachable, too big,
  // time exceeded, parameter problem.
  return is_v4 ? type == 3 || type == 4 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

// Parses an ICMP message and the packet that it quotes. The length in the quoted IP header is ignored: the
// quote is usually shorter, and some hosts send a wrong length. This is safe, as every TCP or UDP packet
// reaches at least to its checksum, the last field that rewrite.cc changes. A quoted first fragment is
// accepted, as it has the ports.
[[gnu::noinline]] ParseResult parse_icmp(ParsedPacket& packet, const uint8_t* frame, uint32_t end) {
  const uint32_t icmp = packet.l4_offset;
  if (end - icmp < kIcmpBytes || !is_error(packet.is_v4, frame[icmp])) return ParseResult::kOther;

  const uint32_t ip = icmp + kIcmpBytes;
  const uint32_t quoted_bytes = end - ip;
  const uint8_t* header = frame + ip;
  Transport transport;
  IpAddress source, destination;
  if (packet.is_v4) {
    if (quoted_bytes < kIpv4Bytes || header[0] >> 4 != 4) return ParseResult::kOther;
    const uint32_t header_bytes = 4u * (header[0] & 0x0f);
    if (header_bytes < kIpv4Bytes || quoted_bytes < header_bytes) return ParseResult::kOther;
    if ((load16(header + 6) & kIpv4OffsetMask) != 0)
      return ParseResult::kOther;  // a later fragment has no ports
    transport.protocol = header[9];
    transport.offset = ip + header_bytes;
    source = IpAddress::from_v4(header + 12);
    destination = IpAddress::from_v4(header + 16);
  } else {
    if (quoted_bytes < kIpv6Bytes || header[0] >> 4 != 6) return ParseResult::kOther;
    transport = skip_extensions(frame, header[6], ip + kIpv6Bytes, end, kIpv6OffsetMask);
    source = IpAddress::from_v6(header + 8);
    destination = IpAddress::from_v6(header + 24);
    if (transport.result != ParseResult::kFlowPacket || source.is_v4() || destination.is_v4())
      return ParseResult::kOther;
  }
  if (!is_transport(transport.protocol) || end - transport.offset < kPortBytes) return ParseResult::kOther;

  packet.source = source;
  packet.destination = destination;
  packet.source_port = load_port(frame + transport.offset);
  packet.destination_port = load_port(frame + transport.offset + 2);
  packet.protocol = transport.protocol;
  packet.quoted_l3_offset = static_cast<uint16_t>(ip);
  packet.quoted_l4_offset = static_cast<uint16_t>(transport.offset);
  packet.quoted_l4_bytes = static_cast<uint16_t>(end - transport.offset);
  return ParseResult::kIcmpError;
}

ParseResult parse_transport(ParsedPacket& packet, const uint8_t* frame, const Transport& transport,
                            uint32_t end) {
  packet.protocol = transport.protocol;
  packet.l4_offset = static_cast<uint16_t>(transport.offset);
  const uint8_t* header = frame + transport.offset;
  const uint32_t bytes = end - transport.offset;
  if (transport.protocol == kProtocolTcp) [[likely]] {
    if (bytes < kTcpBytes) return ParseResult::kTruncated;
    const uint32_t header_bytes = 4u * (header[12] >> 4);
    if (header_bytes < kTcpBytes || header_bytes > bytes) return ParseResult::kBadHeader;
    packet.tcp_flags = header[13];
    packet.payload_bytes = static_cast<uint16_t>(bytes - header_bytes);
  } else if (transport.protocol == kProtocolUdp) {
    if (bytes < kUdpBytes) return ParseResult::kTruncated;
    const uint32_t udp_bytes = load16(header + 4);
    if (udp_bytes < kUdpBytes || udp_bytes > bytes) return ParseResult::kBadHeader;
    packet.payload_bytes = static_cast<uint16_t>(bytes - kUdpBytes);
  } else {
    const bool is_icmp = transport.protocol == (packet.is_v4 ? kProtocolIcmp : kProtocolIcmp6);
    return is_icmp ? parse_icmp(packet, frame, end) : ParseResult::kOther;
  }
  packet.source_port = load_port(header);
  packet.destination_port = load_port(header + 2);
  return ParseResult::kFlowPacket;
}

ParseResult parse_ipv4(ParsedPacket& packet, const uint8_t* frame, uint32_t bytes) {
  const uint8_t* header = frame + kEthernetBytes;
  const uint32_t room = bytes - kEthernetBytes;
  if (room < kIpv4Bytes) return ParseResult::kTruncated;
  const uint32_t header_bytes = 4u * (header[0] & 0x0f);
  const uint32_t total_bytes = load16(header + 2);
  if (header[0] >> 4 != 4 || header_bytes < kIpv4Bytes || total_bytes < header_bytes)
    return ParseResult::kBadHeader;
  if (total_bytes > room) return ParseResult::kTruncated;

  packet.is_v4 = true;
  packet.source = IpAddress::from_v4(header + 12);
  packet.destination = IpAddress::from_v4(header + 16);
  packet.protocol = header[9];
  packet.ttl = header[8];
  if (header_bytes > kIpv4Bytes) [[unlikely]] {
    const ParseResult options = check_ipv4_options(header + kIpv4Bytes, header_bytes - kIpv4Bytes);
    if (options != ParseResult::kFlowPacket) return options;
  }
  if ((load16(header + 6) & kIpv4FragmentMask) != 0) return ParseResult::kFragment;

  const Transport transport{.protocol = header[9], .offset = kEthernetBytes + header_bytes};
  return parse_transport(packet, frame, transport, kEthernetBytes + total_bytes);
}

ParseResult parse_ipv6(ParsedPacket& packet, const uint8_t* frame, uint32_t bytes) {
  const uint8_t* header = frame + kEthernetBytes;
  const uint32_t room = bytes - kEthernetBytes;
  if (room < kIpv6Bytes) return ParseResult::kTruncated;
  if (header[0] >> 4 != 6) return ParseResult::kBadHeader;
  const uint32_t total_bytes = kIpv6Bytes + load16(header + 4);
  if (total_bytes > room) return ParseResult::kTruncated;

  packet.source = IpAddress::from_v6(header + 8);
  packet.destination = IpAddress::from_v6(header + 24);
  packet.protocol = header[6];
  packet.ttl = header[7];
  if (packet.source.is_v4() || packet.destination.is_v4()) [[unlikely]]
    return ParseResult::kBadHeader;

  const uint32_t end = kEthernetBytes + total_bytes;
  Transport transport{.protocol = header[6], .offset = kEthernetBytes + kIpv6Bytes};
  if (!is_transport(transport.protocol)) [[unlikely]] {
    transport = skip_extensions(frame, transport.protocol, transport.offset, end, kIpv6FragmentMask);
    packet.protocol = transport.protocol;
    if (transport.result != ParseResult::kFlowPacket) return transport.result;
  }
  return parse_transport(packet, frame, transport, end);
}

}  // namespace

ParsedPacket parse(const uint8_t* frame, uint32_t bytes) {
  ParsedPacket packet;
  if (bytes < kEthernetBytes) return packet;
  const uint16_t ether_type = load16(frame + 12);
  if (ether_type == kEtherTypeIpv4) [[likely]] {
    packet.result = parse_ipv4(packet, frame, bytes);
  } else if (ether_type == kEtherTypeIpv6) {
    packet.result = parse_ipv6(packet, frame, bytes);
  } else {
    packet.result = ParseResult::kOther;
  }
  return packet;
}

}  // namespace teal
