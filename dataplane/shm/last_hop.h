// SPDX-License-Identifier: Apache-2.0
//
// The table of last hops: the hops that clients' packets came by. A flow keeps the id of a row, and the
// packets to its client leave by the row's hop. Many flows share a row. Workers claim rows. teald finds the
// router of each row among the kernel's neighbours, and stores its present MAC address: so all flows of a
// router follow it at once (control/kernel/last_hops.h).
//
// Thread safety: a word is complete by itself, so all its loads and stores are relaxed. Any worker may call
// last_hop_id() at any time.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "dataplane/packet/ip_address.h"
#include "dataplane/shm/hop.h"

namespace teal {

struct FlowsHeader;

inline constexpr uint32_t kMaxLastHops = 16384;
inline constexpr uint16_t kNoLastHop = kMaxLastHops - 1;  // its row is never claimed

// The rest of a row, beside its word.
struct LastHopOrigin {
  // workers: rw at the claim, control: ro; the words of the address of a client that came by it. The second
  // one is stored last (release), and is 0 in a new segment.
  std::atomic<uint64_t> client[2];
  IpAddress router;            // control: rw; a neighbour on the hop's port
  uint64_t hop;                // control: rw; the hop that had this router. Another one, or 0: none is known
  std::atomic<uint8_t> known;  // control: rw, workers: ro; the kernel has a neighbour with the hop's MAC
};

// Returns the id of a row whose hop is `hop`, and claims a free row if there is none. Open addressing by the
// hop's hash, at most 64 rows. Returns nothing if all these rows hold other hops. `client` came by this hop.
std::optional<uint16_t> last_hop_id(FlowsHeader& flows, const Hop& hop, const IpAddress& client);

}  // namespace teal
