// SPDX-License-Identifier: Apache-2.0
//
// The one writer of the words that the workers read beside the ruleset: next hops, and health
// (dataplane/shm/health.h). A backend's next hop has Hop::kDownBit exactly while the backend is down, also
// after a change of the hop.
//
// Thread safety: all objects on a segment belong to teald's event loop. Each word is complete by itself, so
// its store is relaxed.
#pragma once

#include <cstdint>

#include "dataplane/shm/segment.h"

namespace teal {

class BackendWords {
 public:
  explicit BackendWords(SegmentHeader& header) : header_(header) {}

  // Returns the next hop without the down bit. It is Hop::kNone while it is not resolved.
  uint64_t hop(uint16_t backend) const {
    return header_.next_hops[backend].load(std::memory_order_relaxed) & ~Hop::kDownBit;
  }
  void set_hop(uint16_t backend, uint64_t hop) { store(backend, hop, held_back(backend)); }

  // Returns kTakesAll, kDown or, in slow start, a value between. A new segment has kTakesAll for all
  // backends.
  uint8_t held_back(uint16_t backend) const {
    return header_.held_back[backend].load(std::memory_order_relaxed);
  }
  void set_held_back(uint16_t backend, uint8_t held_back) { store(backend, hop(backend), held_back); }

  PoolMode mode(uint16_t service, Colour colour) const {
    return header_.pool_mode[service][static_cast<int>(colour)].load(std::memory_order_relaxed);
  }
  // Set the mode before the last backend of a pool goes down. In a pool that is kNormal and has no backend
  // that is up, each new flow costs a search of the whole Maglev table.
  void set_mode(uint16_t service, Colour colour, PoolMode mode) {
    header_.pool_mode[service][static_cast<int>(colour)].store(mode, std::memory_order_relaxed);
  }

  // Makes each worker look at all of its flows once. Call it once after a backend went down or a mode
  // changed. Release: pairs with the acquire load in Sweeper::sweep(), so that the round sees the words
  // stored before.
  void tell_workers() {
    header_.health_changes.store(header_.health_changes.load(std::memory_order_relaxed) + 1,
                                 std::memory_order_release);
  }

 private:
  // A hop that is not resolved stays Hop::kNone: nothing goes there in any case.
  void store(uint16_t backend, uint64_t hop, uint8_t held_back) {
    const uint64_t down = held_back == kDown && hop != Hop::kNone ? Hop::kDownBit : 0;
    header_.held_back[backend].store(held_back, std::memory_order_relaxed);
    header_.next_hops[backend].store(hop | down, std::memory_order_relaxed);
  }

  SegmentHeader& header_;
};

}  // namespace teal
