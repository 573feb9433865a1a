// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/flow_key.h"
#include "dataplane/shm/segment.h"

namespace teal {

static_assert(kMaxLastHops <= kNoLastHop && std::has_single_bit(kMaxLastHops));

std::optional<uint16_t> last_hop_id(SegmentHeader& header, const Hop& hop) {
  constexpr uint32_t kProbes = 64;
  const uint64_t word = hop.word();
  const uint64_t hash = mix(word ^ kMixB, kMixC);
  for (uint32_t probe = 0; probe < kProbes; ++probe) {
    const auto id = static_cast<uint16_t>((hash + probe) % kMaxLastHops);
    // Relaxed: the word is the whole content. Invariants:
    //   1. A row never changes once it is taken.
    //   2. All threads that search for a hop visit the same rows in the same order.
    //   3. If two threads claim the same row, the second one reads what the first one stored.
    uint64_t found = header.last_hops[id].load(std::memory_order_relaxed);
    if (found == Hop::kNone &&
        header.last_hops[id].compare_exchange_strong(found, word, std::memory_order_relaxed))
      return id;
    if (found == word) return id;
  }
  return std::nullopt;
}

}  // namespace teal
