// SPDX-License-Identifier: Apache-2.0
//
// The two parts of a publication: an immutable ruleset, and the traffic splits of all services. teald fills a
// free slot of each, then names both slots in the publication word (publication.h). Nobody writes to a slot
// that the word names.
//
// Ids (16 bits) are indexes into the arrays. A service or backend keeps its id for life. kNoId means "none".
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/flow_key.h"
#include "dataplane/shm/counters.h"

namespace teal {

inline constexpr uint16_t kNoId = 0xffff;
inline constexpr uint16_t kPreviewAddress = kMaxServices;  // see Ruleset::find_service()
inline constexpr uint32_t kMaglevCapacity = 1u << 21;      // rows of the Maglev tables of all pools together
inline constexpr uint32_t kShareOne = 10'000;              // a share is in 1/10,000
inline constexpr uint32_t kMaxPreviewClients = 1024;       // networks of all services together
inline constexpr uint32_t kMaxPreviewClientsOfService = 32;  // each new flow is compared with all of them

// A tick is 10 ms of CLOCK_MONOTONIC. Flows have the low 32 bits, which wrap after 497 days: differences are
// modulo 2^32, and no timeout is that long. Times that may be older have 64 bits.
inline constexpr uint64_t kTickNs = 10'000'000;

// A backend that has sent nothing for this time after a flow began has not answered (BackendSignals).
inline constexpr uint32_t kAnswerTicks = 100;

constexpr bool is_before(uint32_t tick, uint32_t other) {
  return static_cast<int32_t>(tick - other) < 0;
}

// Returns the age in ticks. A tick in the future has the age 0, as two clocks may differ by a tick.
constexpr uint32_t ticks_since(uint32_t then, uint32_t now) {
  const auto age = static_cast<int32_t>(now - then);
  return age < 0 ? 0 : static_cast<uint32_t>(age);
}

// The same for ticks of 64 bits, modulo 2^64: a flip may be older than the boot.
constexpr uint64_t age_in_ticks(uint64_t then, uint64_t now) {
  const auto age = static_cast<int64_t>(now - then);
  return age < 0 ? 0 : static_cast<uint64_t>(age);
}

enum class Colour : uint8_t { kBlue = 0, kGreen = 1 };
constexpr Colour other(Colour colour) {
  return static_cast<Colour>(1 - static_cast<uint8_t>(colour));
}
inline constexpr std::array<const char*, kColours> kColourNames = {"blue", "green"};

// The Maglev table of a pool, as a part of the array `Ruleset::maglev`. An empty pool has the size 0.
struct MaglevTable {
  uint32_t offset;
  uint32_t size;  // prime
};

enum ServiceFlags : uint8_t {
  kServicePresent = 1,
  kServiceRetired = 2,
  kAffinityClient = 4,
  kUdpCut = 8,       // udp = "cut": after a flip, the client's next packet of a UDP flow is chosen again
  kOnDownReset = 16  // on_down = "reset": Teal resets the flows of a backend that is down
};

// The clients that get the idle colour of a service: all addresses whose bits under the mask are `network`.
struct PreviewClients {
  IpAddress network, mask;  // of IPv4 in the mapped form

  friend bool operator==(const PreviewClients&, const PreviewClients&) = default;
  bool has(const IpAddress& client) const {
    return ((client.word(0) & mask.word(0)) ^ network.word(0)) == 0 &&
           ((client.word(1) & mask.word(1)) ^ network.word(1)) == 0;
  }
};

struct ServiceRule {
  Socket vip;
  Socket preview;  // its packets go to the idle colour; of the VIP's family and protocol. Protocol 0: none
  uint8_t flags;   // ServiceFlags
  MaglevTable pools[kColours];
  uint16_t first_preview_clients;  // index into Ruleset::preview_clients
  uint16_t preview_clients;        // the number of the service's own
};

enum BackendFlags : uint8_t {
  kBackendPresent = 1,
  kBackendRetired = 2,
  kBackendResetBlue = 4,  // admin state "maint" in the blue pool: Teal resets the backend's blue flows
  kBackendResetGreen = 8,
  kBackendUdpCut = 16,     // kUdpCut of its service
  kBackendTakesBlue = 32,  // takes new flows in the blue pool
  kBackendTakesGreen = 64
};

struct BackendRule {
  Socket socket;
  ChecksumDelta from_vip;  // for DNAT from the VIP to this backend; reversed() for replies
  uint16_t service;        // id
  uint8_t flags;           // BackendFlags
};

// Idle timeouts in ticks, by the phase of a flow (flow_table.h).
struct Timeouts {
  uint32_t embryonic;
  uint32_t tcp_established;
  uint32_t tcp_half_closed;
  uint32_t tcp_closed;
  uint32_t udp_established;
};

// This hash table maps sockets to ids, by open addressing with linear probing. The word of a row holds a
// whole IPv4 socket, or the hash of an IPv6 socket. find() therefore also compares an IPv6 socket itself.
// Zeroed memory is an empty table.
template <uint32_t kRows>  // a power of 2, four times the maximum number of sockets
struct SocketTable {
  struct Row {
    uint64_t word;  // 0: empty
    uint16_t id;
  };
  Row rows[kRows];

  static constexpr uint64_t kHashed = uint64_t{1} << 40;  // set in words of IPv6, clear in words of IPv4

  static uint64_t word_of(const IpAddress& address, Be16 port, uint8_t protocol) {
    if (address.is_v4()) return address.word(1) >> 32 | uint64_t{protocol} << 32 | uint64_t{port.raw} << 48;
    return socket_hash(address, port, protocol) | kHashed;
  }
  // The row at which the search for a word begins.
  static uint32_t home_row(uint64_t word) { return static_cast<uint32_t>((word * kMixA) >> 32) % kRows; }

  // Returns the id of a socket, or kNoId. `socket_of(id)` is the socket with this id.
  template <typename SocketOf>
  uint16_t find(const IpAddress& address, Be16 port, uint8_t protocol, const SocketOf& socket_of) const {
    const uint64_t word = word_of(address, port, protocol);
    for (uint32_t at = home_row(word);; at = (at + 1) % kRows) {
      const Row& row = rows[at];
      if (row.word == word && (address.is_v4() || socket_of(row.id).is(address, port, protocol))) [[likely]]
        return row.id;
      if (row.word == 0) return kNoId;
    }
  }
  // Adds a socket that is not in the table. The table must not be full.
  void insert(const Socket& socket, uint16_t id) {
    const uint64_t word = word_of(socket.address, socket.port, socket.protocol);
    uint32_t at = home_row(word);
    while (rows[at].word != 0) at = (at + 1) % kRows;
    rows[at] = {word, id};
  }
};

struct Ruleset {
  Timeouts timeouts;
  uint32_t reset_rate;  // the number of flows per second that all workers together begin to reset
  uint32_t maglev_used;
  ServiceRule services[kMaxServices];  // by service id
  BackendRule backends[kMaxBackends];  // by backend id
  SocketTable<4 * kMaxServices> vips;  // service ids, and those of preview addresses
  SocketTable<4 * kMaxServices>
      addresses;                          // of VIPs and previews, with port and protocol 0; ids as in `vips`
  SocketTable<4 * kMaxBackends> sockets;  // backend ids
  PreviewClients preview_clients[kMaxPreviewClients];
  uint16_t maglev[kMaglevCapacity];  // backend ids

  // Returns the id of the service with this VIP. For a preview address, it returns the id plus
  // kPreviewAddress.
  uint16_t find_service(const IpAddress& address, Be16 port, uint8_t protocol) const {
    return vips.find(address, port, protocol, [&](uint16_t id) -> const Socket& {
      return id < kPreviewAddress ? services[id].vip : services[id - kPreviewAddress].preview;
    });
  }
  // Whether this is the address of a VIP or a preview, whatever the port.
  bool is_service_address(const IpAddress& address) const {
    return addresses.find(address, {}, 0, [&](uint16_t id) -> Socket {
      return {
          id < kPreviewAddress ? services[id].vip.address : services[id - kPreviewAddress].preview.address,
          {},
          0};
    }) != kNoId;
  }
  uint16_t find_backend(const IpAddress& address, Be16 port, uint8_t protocol) const {
    return sockets.find(address, port, protocol,
                        [&](uint16_t id) -> const Socket& { return backends[id].socket; });
  }
  bool previews(uint16_t service, const IpAddress& client) const {
    const ServiceRule& rule = services[service];
    for (uint32_t i = 0; i < rule.preview_clients; ++i)
      if (preview_clients[rule.first_preview_clients + i].has(client)) return true;
    return false;
  }
  uint16_t find_service(const Socket& s) const { return find_service(s.address, s.port, s.protocol); }
  uint16_t find_backend(const Socket& s) const { return find_backend(s.address, s.port, s.protocol); }
};
static_assert(std::is_trivially_copyable_v<Ruleset>);

// Where the new flows of a service go.
struct TrafficSplit {
  Colour active;
  Colour previous;           // the colour of midstream packets during a drain
  uint16_t other_share;      // the share of new flows that goes to the idle colour, in 1/kShareOne
  uint32_t flip_generation;  // low 32 bits of the generation that made `active` active
  uint64_t flipped_at_tick;
  uint32_t drain_ticks;   // the length of the drain, from flipped_at_tick on; 0: never flipped
  uint32_t reset_before;  // low 32 bits of a generation: Teal resets flows of the idle colour that were born
                          // under an older one. 0: it resets none
  uint32_t
      counted_from;  // low 32 bits of a generation: a trial began. Outcomes of flows that were born under
                     // an older one do not count in TrialCounters. 0: all count
  uint32_t slow_us;  // a sampled flow whose first answer takes longer is slow in TrialCounters. 0: one
                     // that waits 1 s
};
static_assert(sizeof(TrafficSplit) == 32);

// Returns true while the drain of this service's latest flip lasts. TCP packets without an entry then count
// as packets of flows of the previous colour.
inline bool is_draining(const TrafficSplit& split, uint64_t now_tick) {
  return age_in_ticks(split.flipped_at_tick, now_tick) < split.drain_ticks;
}

struct TrafficSplits {
  TrafficSplit services[kMaxServices];  // by service id
};

}  // namespace teal
