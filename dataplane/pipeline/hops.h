// SPDX-License-Identifier: Apache-2.0
//
// The hops that packets leave by. A packet to a backend leaves by the backend's next hop, which teald keeps
// up to date. A packet to a client leaves by the flow's last hop: the hop that the client's first packets
// came by. teald follows its router, and hop_moves.h says when a flow gets another one.
#pragma once

#include <array>

#include "dataplane/pipeline/burst.h"
#include "dataplane/shm/segment.h"

namespace teal {

// The hop back to the sender of a frame that came in by this port.
inline uint64_t arrival_hop(const PortTraits& port, const uint8_t* frame) {
  uint64_t from_last_words;  // of the destination MAC; behind them the source MAC, whole
  std::memcpy(&from_last_words, frame + 4, 8);
  return port.hop_prefix | from_last_words >> 16;
}

// The hop to a backend, also to one that is down. Hop::kNone while the kernel does not know the backend's
// neighbour.
inline uint64_t next_hop(const SegmentHeader& header, uint16_t backend) {
  return header.next_hops[backend].load(std::memory_order_relaxed) & ~Hop::kDownBit;
}

inline bool is_down(const SegmentHeader& header, uint16_t backend) {
  return header.held_back[backend].load(std::memory_order_relaxed) == kDown;
}

// Sets the hop that a packet leaves by. Returns undecided, for translate(), or a drop for Hop::kNone.
inline Verdict leave_by(Packet& packet, uint64_t hop_word) {
  packet.hop = hop_word;
  return hop_word == Hop::kNone ? Verdict::drop(DropReason::k_no_next_hop) : Verdict::undecided();
}

// Whether a client is in the same subnet as a backend. The backend would answer it directly, past Teal.
inline bool client_is_on_link(const SegmentHeader& header, const IpAddress& client, uint16_t backend,
                              const Rules& rules) {
  const uint8_t bits = header.on_link_prefix_bits[backend].load(std::memory_order_relaxed);
  return bits != 0 && same_prefix(client, rules.ruleset.backends[backend].socket.address, bits);
}

// The segment's table of last hops. All workers share the table, and each worker has a small cache in front.
class LastHops {
 public:
  LastHops(const SegmentHeader& header, FlowsHeader& flows) : header_(header), flows_(flows) {
    cached_ids_.fill(kNoLastHop);
  }

  // The id of the hop that this client came by, which a flow's entry keeps. kNoLastHop if the segment's table
  // is full.
  uint16_t id_of(uint64_t hop_word, const IpAddress& client) {
    uint16_t& cached = cached_ids_[scale(hop_word * kMixA, kRows)];
    if (word_of(cached) != hop_word)
      cached = last_hop_id(flows_, Hop::from_word(hop_word), client).value_or(kNoLastHop);
    return cached;
  }
  // Hop::kNone for kNoLastHop.
  uint64_t word_of(uint16_t id) const { return flows_.last_hops[id].load(std::memory_order_relaxed); }
  // Whether the kernel has a neighbour there.
  bool is_known(uint16_t id) const {
    return flows_.last_hop_origins[id].known.load(std::memory_order_relaxed) != 0;
  }

  // The hop to a flow's client, whose last hop has this id. Where there is none: the client side's default
  // hop, else the hop that the latest client without an entry and of this address family came by. Hop::kNone
  // if there is none of these.
  uint64_t to_client(uint16_t id, const IpAddress& client) const {
    if (const uint64_t word = word_of(id); word != Hop::kNone) return word;
    const uint64_t word = header_.client_default_hops[family_of(client)].load(std::memory_order_relaxed);
    return word != Hop::kNone ? word : latest_stateless_[family_of(client)];
  }
  void note_stateless_client(uint64_t hop_word, const IpAddress& client) {
    latest_stateless_[family_of(client)] = hop_word;
  }

 private:
  static constexpr uint32_t kRows = 256;
  static size_t family_of(const IpAddress& client) { return client.is_v4() ? 0 : 1; }

  const SegmentHeader& header_;
  FlowsHeader& flows_;
  std::array<uint64_t, 2> latest_stateless_{Hop::kNone, Hop::kNone};  // IPv4, IPv6
  std::array<uint16_t, kRows> cached_ids_;
};

}  // namespace teal
