// SPDX-License-Identifier: Apache-2.0
//
// What a burst is forwarded by: an immutable ruleset, and the targets of all services. teald fills a free
// slot of each, then names both in the publication word (publication.h). Nothing in a slot that the word
// names is ever written.
//
// Ids (16 bits) are positions in the arrays and stay with their service or backend for life; kNoId marks an
// empty place.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/flow_key.h"
#include "dataplane/shm/counters.h"

namespace teal {

inline constexpr uint16_t kNoId = 0xffff;
inline constexpr uint32_t kMaglevCapacity = 1u << 21;  // entries of all pools together
inline constexpr uint32_t kShareOne = 10'000;          // a share is in 1/10,000

// Coarse time: CLOCK_MONOTONIC in units of 10 ms, 32 bits (wraps after 497 days; differences are taken modulo
// 2^32).
inline constexpr uint64_t kTickNs = 10'000'000;

constexpr bool is_before(uint32_t tick, uint32_t other) {
  return static_cast<int32_t>(tick - other) < 0;
}

// Two clocks may differ by a tick: what lies in the future is 0 old.
constexpr uint32_t ticks_since(uint32_t then, uint32_t now) {
  const auto age = static_cast<int32_t>(now - then);
  return age < 0 ? 0 : static_cast<uint32_t>(age);
}

enum class Colour : uint8_t { kBlue = 0, kGreen = 1 };
constexpr Colour other(Colour colour) {
  return static_cast<Colour>(1 - static_cast<uint8_t>(colour));
}
inline constexpr std::array<const char*, kColours> kColourNames = {"blue", "green"};

// A part of the arena `Ruleset::maglev`. A size of 0 is an empty pool.
struct MaglevTable {
  uint32_t offset;
  uint32_t size;  // prime
};

enum ServiceFlags : uint8_t {
  kServicePresent = 1,
  kServiceRetired = 2,
  kAffinityClient = 4,
  kUdpCut = 8  // UDP flows older than a flip are chosen anew at the client's next packet
};

struct ServiceRule {
  Socket vip;
  uint8_t flags;  // ServiceFlags
  MaglevTable pools[kColours];
};

enum BackendFlags : uint8_t {
  kBackendPresent = 1,
  kBackendRetired = 2,
  kBackendResetBlue = 4,  // flows of it that were chosen as blue are reset (admin state "maint")
  kBackendResetGreen = 8,
  kBackendUdpCut = 16  // its service's kUdpCut
};

struct BackendRule {
  Socket socket;
  ChecksumDelta from_vip;  // what DNAT towards this backend adds; reversed() for replies
  uint16_t service;        // id
  uint8_t flags;           // BackendFlags
};

// By state of a flow (flow_table.h), in ticks.
struct Timeouts {
  uint32_t embryonic;
  uint32_t tcp_established;
  uint32_t tcp_half_closed;
  uint32_t tcp_closed;
  uint32_t udp_established;
};

// Socket -> id, by open addressing with linear probing. Of IPv4 a row's word is the whole socket; of IPv6 it
// is a hash, and who looks compares the socket itself. Zeroed memory is an empty table.
template <uint32_t kRows>  // a power of 2, four times what it is to hold
struct SocketTable {
  struct Row {
    uint64_t word;  // 0: empty
    uint16_t id;
  };
  Row rows[kRows];

  static constexpr uint64_t kHashed = uint64_t{1} << 40;  // 0 in all words of IPv4

  static uint64_t word_of(const IpAddress& address, Be16 port, uint8_t protocol) {
    if (address.is_v4()) return address.word(1) >> 32 | uint64_t{protocol} << 32 | uint64_t{port.raw} << 48;
    return socket_hash(address, port, protocol) | kHashed;
  }
  static uint32_t first_row(uint64_t word) { return static_cast<uint32_t>((word * kMixA) >> 32) % kRows; }

  // `socket_of(id)` is the socket that has this id. kNoId: none in here.
  template <typename SocketOf>
  uint16_t find(const IpAddress& address, Be16 port, uint8_t protocol, const SocketOf& socket_of) const {
    const uint64_t word = word_of(address, port, protocol);
    for (uint32_t at = first_row(word);; at = (at + 1) % kRows) {
      const Row& row = rows[at];
      if (row.word == word && (address.is_v4() || socket_of(row.id).is(address, port, protocol))) [[likely]]
        return row.id;
      if (row.word == 0) return kNoId;
    }
  }
  // `socket` is not in here, and there is room.
  void insert(const Socket& socket, uint16_t id) {
    const uint64_t word = word_of(socket.address, socket.port, socket.protocol);
    uint32_t at = first_row(word);
    while (rows[at].word != 0) at = (at + 1) % kRows;
    rows[at] = {word, id};
  }
};

struct Ruleset {
  Timeouts timeouts;
  uint32_t reset_rate;  // flows a second that all workers together begin to reset
  uint32_t maglev_used;
  ServiceRule services[kMaxServices];     // by service id
  BackendRule backends[kMaxBackends];     // by backend id
  SocketTable<4 * kMaxServices> vips;     // service ids
  SocketTable<4 * kMaxBackends> sockets;  // backend ids
  uint16_t maglev[kMaglevCapacity];       // backend ids

  uint16_t find_service(const IpAddress& address, Be16 port, uint8_t protocol) const {
    return vips.find(address, port, protocol, [&](uint16_t id) -> const Socket& { return services[id].vip; });
  }
  uint16_t find_backend(const IpAddress& address, Be16 port, uint8_t protocol) const {
    return sockets.find(address, port, protocol,
                        [&](uint16_t id) -> const Socket& { return backends[id].socket; });
  }
  uint16_t find_service(const Socket& s) const { return find_service(s.address, s.port, s.protocol); }
  uint16_t find_backend(const Socket& s) const { return find_backend(s.address, s.port, s.protocol); }
};
static_assert(std::is_trivially_copyable_v<Ruleset>);

// What new flows of a service follow.
struct TrafficSplit {
  Colour active;
  Colour previous;           // where a TCP flow without an entry goes during a drain
  uint16_t other_share;      // of new flows that go to the colour not active, in 1/kShareOne
  uint32_t flip_generation;  // low 32 bits of the generation that made `active` active
  uint32_t flipped_at_tick;
  uint32_t drain_ticks;   // how long after flipped_at_tick the drain lasts; 0: never flipped
  uint32_t reset_before;  // flows of the colour not active that were born under an older generation than this
                          // (low 32 bits) are reset; 0: none
};
static_assert(sizeof(TrafficSplit) == 20);

// Is the flip of this target still draining? Then TCP flows without an entry are taken for flows of the
// previous colour.
inline bool is_draining(const TrafficSplit& split, uint32_t now_tick) {
  return ticks_since(split.flipped_at_tick, now_tick) < split.drain_ticks;
}

struct TrafficSplits {
  TrafficSplit services[kMaxServices];  // by service id
};

}  // namespace teal
