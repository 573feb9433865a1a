// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "dataplane/pipeline/burst.h"
#include "dataplane/shm/segment.h"

namespace teal {

// The hop back to where a frame came from, by the port that it came in by.
inline uint64_t arrival_hop(const PortTraits& port, const uint8_t* frame) {
  uint64_t from_last_words;  // of the destination; then the source, whole
  std::memcpy(&from_last_words, frame + 4, 8);
  return port.hop_prefix | from_last_words >> 16;
}

// Ids of the hops that clients' packets came by, through a small cache of this worker in front of the
// segment's table.
class LastHops {
 public:
  explicit LastHops(SegmentHeader& header) : header_(header) { cached_words_.fill(Hop::kNone); }

  // kNoId when the segment's table is full.
  uint16_t id_of(uint64_t hop_word) {
    const uint32_t row = scale(hop_word * kMixA, kRows);
    if (cached_words_[row] != hop_word) {
      const std::optional<uint16_t> id = last_hop_id(header_, Hop::from_word(hop_word));
      if (!id) return kNoId;
      cached_words_[row] = hop_word;
      cached_ids_[row] = *id;
    }
    return cached_ids_[row];
  }
  uint64_t word_of(uint16_t id) const {
    return id == kNoId ? Hop::kNone : header_.last_hops[id].load(std::memory_order_relaxed);
  }

 private:
  static constexpr uint32_t kRows = 256;
  SegmentHeader& header_;
  std::array<uint64_t, kRows> cached_words_;
  std::array<uint16_t, kRows> cached_ids_;
};

}  // namespace teal
