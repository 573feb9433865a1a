// SPDX-License-Identifier: Apache-2.0
//
// DNAT towards a backend, and its inverse for replies. Checksums are updated incrementally (RFC 1624,
// equation 3). The difference that a new address and port make is computed once per backend (checksum.h:
// ChecksumDelta) and added per packet. A packet that arrived with a wrong checksum leaves with one that is
// wrong by the same amount.
//
// Ones' complement has two zeros, 0 and 0xffff. Two rules follow:
//   - A UDP checksum of 0 means "none" (RFC 768) and stays 0. Over IPv6, only some tunnels may send it (RFC
//     6935), and receivers discard it otherwise (RFC 8200, 8.1). If Teal filled it in, a packet that must be
//     discarded could be accepted. A UDP checksum that is computed as 0 is sent as 0xffff.
//   - In all other checksums 0 and 0xffff are equivalent. Senders compute 0; a packet that arrives with
//     0xffff may leave with the value that follows from 0.
// Apart from the second rule, a rewrite and its inverse (`delta.reversed()`) restore the bytes.
//
// Every function takes a frame and its parsed form. parse() must have accepted the frame as kFlowPacket, or
// as kIcmpError for the two rewrite_icmp functions. The sockets have the frame's address family. A rewrite
// leaves the parsed form as it was, so its addresses are stale afterwards.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/header_fields.h"
#include "dataplane/packet/parse.h"

namespace teal {

// Loads a MAC address into the lower 48 bits, in native byte order.
inline uint64_t load_mac(const uint8_t* six_bytes) {
  uint32_t low;
  uint16_t high;
  std::memcpy(&low, six_bytes, 4);
  std::memcpy(&high, six_bytes + 4, 2);
  return low | uint64_t{high} << 32;
}

struct MacAddress {
  uint8_t bytes[6] = {};

  uint64_t word() const { return load_mac(bytes); }
  friend bool operator==(const MacAddress&, const MacAddress&) = default;
};

// Replaces the destination (towards a backend) or the source (towards a client) by `socket`. `delta` is
// ChecksumDelta::between(old socket, `socket`).
inline void rewrite_destination(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                                const ChecksumDelta& delta);
inline void rewrite_source(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                           const ChecksumDelta& delta);

// Rewrites an ICMP error about a flow (RFC 5508, 4.2; similar to RFC 6146, 3.4).
//   - Towards the backend: the error's destination (a VIP) becomes the backend's address, and the quoted
//     source becomes the backend's socket.
//   - Towards the client: the quoted destination becomes the VIP's socket. The error's source becomes the
//     VIP's address if the backend sent the error, and stays if a router sent it.
// A quoted checksum is updated if the quote contains it. The quote of a TCP packet often ends before it.
void rewrite_icmp_to_backend(uint8_t* frame, const PacketShape& packet, const Socket& vip,
                             const Socket& backend);
void rewrite_icmp_to_client(uint8_t* frame, const PacketShape& packet, const Socket& vip,
                            const Socket& backend);

// The same as rewrite_destination() and rewrite_source(), and the TTL or hop limit is decremented. It must be
// more than 1: other packets are not forwarded (RFC 1812, 5.3.1; classify.cc).
inline void forward_to_destination(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                                   const ChecksumDelta& delta);
inline void forward_from_source(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                                const ChecksumDelta& delta);

// Decrements the TTL or hop limit. Takes any frame with an IP header that parse() found valid.
inline void decrement_ttl(uint8_t* frame, const PacketShape& packet);

// Writes both MAC addresses by two stores. The words are in the form of load_mac().
inline void write_ethernet_addresses(uint8_t* frame, uint64_t destination, uint64_t source) {
  const uint64_t first = destination | source << 48;
  const auto rest = static_cast<uint32_t>(source >> 16);
  std::memcpy(frame, &first, 8);
  std::memcpy(frame + 8, &rest, 4);
}

// The functions below are inline, as every packet passes them.

namespace fields {

struct Offsets {
  uint32_t ipv4, ipv6, port;
};
inline constexpr Offsets kSourceFields = {kIpv4Source, kIpv6Source, kSourcePort};
inline constexpr Offsets kDestinationFields = {kIpv4Destination, kIpv6Destination, kDestinationPort};

// The difference ~m + m' of the 16-bit word with the TTL, which is its low byte in a native load. m' = m - 1
// without a borrow, as the TTL is not 0.
inline constexpr uint16_t kHopLess = 0xfffe;

template <bool kHop>
[[gnu::always_inline]] inline void exchange(uint8_t* frame, const PacketShape& packet, const Offsets& at,
                                            const Socket& socket, const ChecksumDelta& delta) {
  uint8_t* l3 = frame + packet.l3_offset;
  uint8_t* l4 = frame + packet.l4_offset;
  if (packet.is_v4) {
    if (kHop) --l3[kIpv4Ttl];
    std::memcpy(l3 + at.ipv4, socket.address.v4_bytes(), 4);
    update(l3 + kIpv4Checksum, kHop ? add(delta.ip, kHopLess) : delta.ip);
  } else {
    if (kHop) --l3[kIpv6HopLimit];
    std::memcpy(l3 + at.ipv6, socket.address.bytes, 16);
  }
  store_raw(l4 + at.port, socket.port.raw);
  update_transport(l4, packet.protocol, delta.transport);
}

}  // namespace fields

inline void rewrite_destination(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                                const ChecksumDelta& delta) {
  fields::exchange<false>(frame, packet, fields::kDestinationFields, socket, delta);
}
inline void rewrite_source(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                           const ChecksumDelta& delta) {
  fields::exchange<false>(frame, packet, fields::kSourceFields, socket, delta);
}
inline void forward_to_destination(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                                   const ChecksumDelta& delta) {
  fields::exchange<true>(frame, packet, fields::kDestinationFields, socket, delta);
}
inline void forward_from_source(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                                const ChecksumDelta& delta) {
  fields::exchange<true>(frame, packet, fields::kSourceFields, socket, delta);
}

inline void decrement_ttl(uint8_t* frame, const PacketShape& packet) {
  using namespace fields;
  uint8_t* l3 = frame + packet.l3_offset;
  --l3[packet.is_v4 ? kIpv4Ttl : kIpv6HopLimit];
  if (packet.is_v4) update(l3 + kIpv4Checksum, kHopLess);
}

}  // namespace teal
