// SPDX-License-Identifier: Apache-2.0
//
// The hashes that place a flow.
//
// A flow is named by (service, client address, client port) from either direction. Three things follow from
// its hash, and each takes other bits, so that none of them skews another:
//
//   client_hash(address, port, seed)  its high bits name the partition of the flow table, and so the owner.
//   It leaves the
//                                     service out, as the owner is asked for before the service is sure.
//   flow_hash(client hash, service)   the bucket within the partition, and the tag.
//   choice_hash(...)                  the colour (by share) and the place in the Maglev table.
//
// The mixing step is a 64 x 64 -> 128 bit multiplication folded by xor (as in wyhash), keyed by the segment's
// seed: a sender who does not know the seed cannot aim at one bucket. One multiplication is about 4 cycles.
#pragma once

#include <cstdint>

#include "dataplane/packet/ip_address.h"

namespace teal {

struct FlowKey {
  IpAddress client;
  Be16 client_port;
  uint16_t service = 0;  // id

  friend bool operator==(const FlowKey&, const FlowKey&) = default;
};

__extension__ using Uint128 = unsigned __int128;  // __extension__: no warning under -Wpedantic

inline uint64_t mix(uint64_t a, uint64_t b) {
  const Uint128 product = static_cast<Uint128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline constexpr uint64_t kMixA = 0x9e3779b97f4a7c15;  // odd, high entropy: 2^64 / golden ratio
inline constexpr uint64_t kMixB = 0xe7037ed1a0b428db;  // from wyhash's secret
inline constexpr uint64_t kMixC = 0x8ebc6af09c88c6e3;  // from wyhash's secret

inline uint64_t address_hash(const IpAddress& address, uint64_t seed) {
  return mix(address.word(0) ^ seed ^ kMixA, address.word(1) ^ mix(seed ^ kMixB, kMixC));
}

// The outer step is needed: the inner one alone is close to linear in the port, and with 4 % of all seeds the
// ports of a few clients fell unevenly over the partitions (by up to 28 % of a partition's share).
inline uint64_t client_hash(const IpAddress& client, Be16 port, uint64_t seed) {
  return mix(mix(address_hash(client, seed) ^ port.raw, seed ^ kMixB), kMixC);
}

// The service's multiplication changes the whole factor: with nearby factors, a client's places in two
// services depend on each other.
inline uint64_t flow_hash(uint64_t client_hash, uint16_t service) {
  return mix(client_hash ^ kMixC, kMixA ^ (service * kMixB));
}

// affinity "flow" gives the client hash, "client" the address hash: all flows of a client then choose alike.
inline uint64_t choice_hash(uint64_t basis, uint16_t service) {
  return mix(basis ^ kMixB, kMixC ^ (service * kMixA));
}

// Of VIPs and backends: an operator chose them, and one multiplication spreads them well enough.
inline uint64_t socket_hash(const IpAddress& address, Be16 port, uint8_t protocol) {
  return mix(address.word(0) ^ (port.raw | uint64_t{protocol} << 16) ^ kMixA, address.word(1) ^ kMixB);
}
inline uint64_t socket_hash(const Socket& socket) {
  return socket_hash(socket.address, socket.port, socket.protocol);
}

// Scales the upper 32 bits of a hash to 0 .. count-1 without a division.
inline uint32_t scale(uint64_t hash, uint32_t count) {
  return static_cast<uint32_t>(((hash >> 32) * count) >> 32);
}

}  // namespace teal
