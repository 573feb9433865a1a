// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/last_hop.h"

#include <bit>

#include "dataplane/packet/flow_key.h"
#include "dataplane/shm/flows.h"

namespace teal {

static_assert(std::has_single_bit(kMaxLastHops));

std::optional<uint16_t> last_hop_id(FlowsHeader& flows, const Hop& hop, const IpAddress& client) {
  constexpr uint32_t kProbes = 64;
  const uint64_t word = hop.word();
  const uint64_t hash = mix(word ^ kMixB, kMixC);
  for (uint32_t probe = 0; probe < kProbes; ++probe) {
    const auto id = static_cast<uint16_t>((hash + probe) % kMaxLastHops);
    if (id == kNoLastHop) continue;
    // Invariants:
    //   1. A row that is taken stays taken while workers forward. teald alone changes its word then.
    //   2. All threads that search for a hop visit the same rows in the same order.
    //   3. If two threads claim the same row, the second one reads what the first one stored.
    // After teald has changed a word, two rows may have the same one. Either serves.
    uint64_t found = flows.last_hops[id].load(std::memory_order_relaxed);
    if (found == Hop::kNone &&
        flows.last_hops[id].compare_exchange_strong(found, word, std::memory_order_relaxed)) {
      LastHopOrigin& origin = flows.last_hop_origins[id];
      origin.client[0].store(client.word(0), std::memory_order_relaxed);
      origin.client[1].store(client.word(1), std::memory_order_release);
      return id;
    }
    if (found == word) return id;
  }
  return std::nullopt;
}

}  // namespace teal
