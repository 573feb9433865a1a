// SPDX-License-Identifier: Apache-2.0
//
// DNAT and its undoing, by incremental checksums (RFC 1624, equation 3): the difference that an exchange of
// address and port makes is computed once per backend (checksum.h: ChecksumDelta) and added per packet. A
// packet that arrived with a wrong checksum leaves with one that is wrong by the same amount.
//
// Ones' complement has two zeros, and two rules follow:
//   - A UDP checksum of 0 means "none" (RFC 768) and stays 0. Over IPv6 it is for some tunnels only (RFC
//   6935), and a
//     receiver discards it otherwise (RFC 8200, 8.1): to fill it in here could make it pass. A UDP checksum
//     that is computed as 0 is sent as 0xffff.
//   - Elsewhere 0 and 0xffff mean the same. Senders compute 0; a 0xffff that arrives may leave as if it had
//   been 0.
// With that exception, a rewrite and its inverse (`delta.reversed()`) give back the bytes.
//
// All functions take a frame that parse() accepted and its parsed form: kFlowPacket, or kIcmpError for the
// two that say so. The sockets are of the frame's family. A changed frame is parsed anew before it is changed
// again, where its parsed addresses matter.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/header_fields.h"
#include "dataplane/packet/parse.h"

namespace teal {

// A native load into the lower 48 bits.
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

// Puts `socket`'s address and port in the place of the destination (towards a backend) or the source (towards
// a client). `delta` is ChecksumDelta::between(what stood there, socket).
inline void rewrite_destination(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                                const ChecksumDelta& delta);
inline void rewrite_source(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                           const ChecksumDelta& delta);

// ICMP errors about a flow (RFC 5508, 4.2; RFC 6146, 3.4 in spirit). Towards the backend: the error's
// destination (a VIP) becomes the backend's address and the quoted source becomes the backend's socket.
// Towards the client: the quoted destination becomes the VIP's socket, and the error's source becomes the
// VIP's address if it was the backend's own (a router's stays). The quoted checksums are updated as far as
// they are inside the quote: TCP's often is not.
void rewrite_icmp_to_backend(uint8_t* frame, const PacketShape& packet, const Socket& vip,
                             const Socket& backend);
void rewrite_icmp_to_client(uint8_t* frame, const PacketShape& packet, const Socket& vip,
                            const Socket& backend);

// The same, and one hop less. The TTL or hop limit is more than 1: a packet of less is not forwarded (RFC
// 1812, 5.3.1; classify.cc).
inline void forward_to_destination(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                                   const ChecksumDelta& delta);
inline void forward_from_source(uint8_t* frame, const PacketShape& packet, const Socket& socket,
                                const ChecksumDelta& delta);

// One hop less, and nothing else. Takes any frame whose IP header parse() found sound.
inline void decrement_ttl(uint8_t* frame, const PacketShape& packet);

// By two stores. Words as of load_mac().
inline void write_ethernet_addresses(uint8_t* frame, uint64_t destination, uint64_t source) {
  const uint64_t first = destination | source << 48;
  const auto rest = static_cast<uint32_t>(source >> 16);
  std::memcpy(frame, &first, 8);
  std::memcpy(frame + 8, &rest, 4);
}

// Every packet passes these: inline.

namespace fields {

struct Offsets {
  uint32_t ipv4, ipv6, port;
};
inline constexpr Offsets kSourceFields = {kIpv4Source, kIpv6Source, kSourcePort};
inline constexpr Offsets kDestinationFields = {kIpv4Destination, kIpv6Destination, kDestinationPort};

// ~m + m' for a word m of which the TTL is the low byte as a native load, and m' = m - 1: no carry, as the
// TTL is not 0.
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
