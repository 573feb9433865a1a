// SPDX-License-Identifier: Apache-2.0
//
// The key of a flow and the hashes that are computed from it.
//
// The key (service, client address, client port) is the same in both directions. Its hashes:
//
//   flow_hash()    upper 32 bits: the first bucket, and so the partition and its owner
//                  bits 16 to 31: the distance from the first bucket to the second one (flow_table.h)
//                  bits 0 to 15: the tag
//   choice_hash()  the colour (by share) and the row in the Maglev table; mixed once more, so that it does
//   not
//                  depend on the bucket
//   client_hash()  the cell of clients (counters.h); IPv6 by its /64
//   socket_hash()  rows of the tables of VIPs and backends (ruleset.h); not keyed
//
// The mixing step is a 64 x 64 -> 128 bit multiplication whose halves are combined by xor, as in wyhash. One
// multiplication takes about 4 cycles. flow_hash() is keyed by the segment's seed. A sender who does not know
// the seed cannot choose addresses that fall into one bucket.
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

constexpr uint64_t mix(uint64_t a, uint64_t b) {
  const Uint128 product = static_cast<Uint128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline constexpr uint64_t kMixA = 0x9e3779b97f4a7c15;  // odd, high entropy: 2^64 / golden ratio
inline constexpr uint64_t kMixB = 0xe7037ed1a0b428db;  // from wyhash's secret
inline constexpr uint64_t kMixC = 0x8ebc6af09c88c6e3;  // from wyhash's secret

// The keys of the hashes, derived from the seed once.
struct HashSecret {
  uint64_t first, second, port_factor;

  constexpr HashSecret(uint64_t seed)
      : first(seed ^ kMixA), second(mix(seed ^ kMixB, kMixC)), port_factor(mix(seed ^ kMixC, kMixA) | 1) {}
};

inline uint64_t address_hash(const IpAddress& address, const HashSecret& secret) {
  return mix(address.word(0) ^ secret.first, address.word(1) ^ secret.second);
}
// For containers of the standard library.
struct AddressHash {
  size_t operator()(const IpAddress& address) const { return address_hash(address, 0); }
};

// The hash of a client that may have all addresses of a /64 of IPv6. For IPv4, the first word is 0, and no
// client has an IPv6 address of ::/64 (RFC 4291, 2.4). The outer step is needed: after one step alone, some
// seeds give neighbours the same upper bits.
inline uint64_t client_hash(const IpAddress& client, const HashSecret& secret) {
  const uint64_t network = client.word(0) != 0 ? client.word(0) : client.word(1);
  return mix(mix(network ^ secret.first, secret.second), secret.port_factor);
}

// The outer mixing step is needed, as the inner step is nearly linear in the port. Without the outer step, 4
// % of all seeds spread the ports of a few clients unevenly over the partitions, by up to 28 % of a
// partition's share. The port's factor is secret: with a known factor, a sender could choose pairs of address
// and port that give the same hash.
inline uint64_t flow_hash(const IpAddress& client, Be16 port, uint16_t service, const HashSecret& secret) {
  const uint64_t of_client =
      mix(client.word(0) ^ port.raw * secret.port_factor ^ secret.first, client.word(1) ^ secret.second);
  return mix(of_client ^ service * kMixB, kMixC);
}
inline uint64_t flow_hash(const FlowKey& key, const HashSecret& secret) {
  return flow_hash(key.client, key.client_port, key.service, secret);
}

// `basis` is the flow hash for affinity "flow" and the address hash for affinity "client". With the latter,
// all flows of a client choose the same backend.
inline uint64_t choice_hash(uint64_t basis, uint16_t service) {
  return mix(basis ^ kMixB, kMixC ^ (service * kMixA));
}

// Returns the hash of a VIP or backend. An operator configured these sockets, so no seed is needed, and one
// multiplication spreads them well enough.
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
