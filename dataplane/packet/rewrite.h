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
#include "dataplane/packet/parse.h"

namespace teal {

struct MacAddress {
  uint8_t bytes[6] = {};

  uint64_t word() const {  // native load into the lower 48 bits
    uint32_t low;
    uint16_t high;
    std::memcpy(&low, bytes, 4);
    std::memcpy(&high, bytes + 4, 2);
    return low | uint64_t{high} << 32;
  }
  friend bool operator==(const MacAddress&, const MacAddress&) = default;
};

// Puts `socket`'s address and port in the place of the destination (towards a backend) or the source (towards
// a client). `delta` is ChecksumDelta::between(what stood there, socket).
void rewrite_destination(uint8_t* frame, const ParsedPacket& packet, const Socket& socket,
                         const ChecksumDelta& delta);
void rewrite_source(uint8_t* frame, const ParsedPacket& packet, const Socket& socket,
                    const ChecksumDelta& delta);

// ICMP errors about a flow (RFC 5508, 4.2; RFC 6146, 3.4 in spirit). Towards the backend: the error's
// destination (a VIP) becomes the backend's address and the quoted source becomes the backend's socket.
// Towards the client: the quoted destination becomes the VIP's socket, and the error's source becomes the
// VIP's address if it was the backend's own (a router's stays). The quoted checksums are updated as far as
// they are inside the quote: TCP's often is not.
void rewrite_icmp_to_backend(uint8_t* frame, const ParsedPacket& packet, const Socket& vip,
                             const Socket& backend);
void rewrite_icmp_to_client(uint8_t* frame, const ParsedPacket& packet, const Socket& vip,
                            const Socket& backend);

// The TTL or hop limit is more than 1: a packet of less is not forwarded (RFC 1812, 5.3.1; classify.cc).
// Takes any frame whose IP header parse() found sound.
void decrement_ttl(uint8_t* frame, const ParsedPacket& packet);

// The destination and then the source, by two stores.
inline void write_ethernet_addresses(uint8_t* frame, const MacAddress& destination,
                                     const MacAddress& source) {
  const uint64_t first = destination.word() | source.word() << 48;
  const auto rest = static_cast<uint32_t>(source.word() >> 16);
  std::memcpy(frame, &first, 8);
  std::memcpy(frame + 8, &rest, 4);
}

}  // namespace teal
