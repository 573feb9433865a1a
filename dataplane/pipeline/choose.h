// SPDX-License-Identifier: Apache-2.0
//
// Where a new flow goes: a pure function of the traffic split, of the backends' health and of the flow's
// choice, a hash. The colour follows from the low 32 bits of the choice by the share, the backend from the
// high 32 bits by the colour's Maglev table. So a share takes its flows from all backends alike.
#pragma once

#include <cstdint>

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/insert_failures.h"
#include "dataplane/shm/ruleset.h"
#include "dataplane/shm/segment.h"

namespace teal {

// The choice of the packet's flow: by the client's address and port, or, where the service asks for affinity
// of clients, by the address alone.
inline uint64_t choice_of(const Packet& packet, const Rules& rules, const HashSecret& secret) {
  const FlowKey& key = packet.key;
  const bool by_client = rules.ruleset.services[key.service].flags & kAffinityClient;
  return choice_hash(by_client ? address_hash(key.client, secret) : packet.location.hash, key.service);
}

inline Colour choose_colour(const TrafficSplit& split, uint64_t choice) {
  return scale(choice << 32, kShareOne) < split.other_share ? other(split.active) : split.active;
}

// Whether a new flow gets the idle colour: it is to the preview address, or its client is one of a preview.
inline bool is_preview(const Packet& packet, const Ruleset& ruleset) {
  return packet.role == Role::kToPreview || ruleset.previews(packet.key.service, packet.key.client);
}

// Whether a midstream TCP flow most likely began before the flip: its drain lasts. If an insert has failed
// since the flip, the flow may be a new one that has no entry. Then all its packets must get the colour that
// its SYN got.
inline bool began_before_the_flip(const TrafficSplit& split, const InsertFailures& insert_failures) {
  return is_draining(split, insert_failures.now_tick()) &&
         !insert_failures.within(age_in_ticks(split.flipped_at_tick, insert_failures.now_tick()));
}

// Returns the colour of a flow without an entry. One that began before the flip gets the colour that it got
// then.
inline Colour choose_new_colour(const TrafficSplit& split, uint64_t choice, bool before_the_flip,
                                bool preview) {
  if (before_the_flip) return preview ? other(split.previous) : split.previous;
  return preview ? other(split.active) : choose_colour(split, choice);
}

// The backend that the Maglev table names, whatever its health. kNoId if the pool has no backend that takes
// new flows.
inline uint16_t first_choice(const Ruleset& ruleset, const ServiceRule& service, Colour colour,
                             uint64_t choice) {
  const MaglevTable& pool = service.pools[static_cast<int>(colour)];
  return pool.size == 0 ? kNoId : ruleset.maglev[pool.offset + scale(choice, pool.size)];
}

enum class ChosenAs : uint8_t {
  kFirst,
  kSecond,    // the first choice is held back
  kHeldBack,  // so are all others, or the pool is kAllServe: the first choice serves
  kRejected   // the pool is kReject: no backend, the client is refused
};
struct BackendChoice {
  uint16_t backend;  // kNoId if the pool has no backend that takes new flows; of kRejected, the first choice
  ChosenAs as;
};

// Whether a backend with this word of held_back takes the flow. The same flow always gets the same answer,
// and a flow that a backend takes is still taken when the word becomes smaller.
inline bool takes(uint8_t held_back, uint16_t backend, uint64_t choice) {
  return scale(mix(choice ^ kMixA, kMixB + backend), kDown) >= held_back;
}

// The rows of a table that a flow passes in its search are so far apart. As the size is prime, the search
// passes each row once before it is back.
inline uint32_t stride_of(uint64_t choice, uint32_t size) {
  return 1 + scale(mix(choice ^ kMixB, kMixA), size - 1);
}

// The choice of a flow whose first choice is held back.
BackendChoice choose_again(const SegmentHeader& header, const Ruleset& ruleset, uint16_t service,
                           Colour colour, uint64_t choice);

// Returns the first choice if it takes the flow. Otherwise the flow passes the rows of the Maglev table in an
// order of its own, up to the first row whose backend takes it. So flows of other backends do not move, and
// the flows of a held back backend are spread by weight.
inline BackendChoice choose_backend(const SegmentHeader& header, const Ruleset& ruleset, uint16_t service,
                                    Colour colour, uint64_t choice) {
  const uint16_t first = first_choice(ruleset, ruleset.services[service], colour, choice);
  if (first != kNoId && header.held_back[first].load(std::memory_order_relaxed) != kTakesAll) [[unlikely]]
    return choose_again(header, ruleset, service, colour, choice);
  return {first, ChosenAs::kFirst};
}

// Whether the backend takes new flows in the pool of this colour.
inline bool takes_new_flows(const BackendRule& backend, Colour colour) {
  return backend.flags & (colour == Colour::kBlue ? kBackendTakesBlue : kBackendTakesGreen);
}

}  // namespace teal
