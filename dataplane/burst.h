// SPDX-License-Identifier: Apache-2.0
//
// A burst of packets on its way through the stages of worker.cc: one column per fact, row i is packet i. A
// stage reads what earlier stages wrote and skips rows whose verdict is decided.
#pragma once

#include <cstdint>

#include "dataplane/packet/parse.h"
#include "dataplane/shm/flow_table.h"
#include "dataplane/shm/ruleset.h"
#include "dataplane/verdict.h"

struct rte_mbuf;

namespace teal {

// What a packet is to the switch.
enum class Role : uint8_t {
  kToVip,
  kFromBackend,
  kIcmpToVip,
  kIcmpFromBackend,
  kOfResetFlow,  // goes back to its sender, as a RST
};

// All of a burst goes by one publication.
struct Rules {
  const Ruleset& ruleset;
  const Targets& targets;
  uint64_t generation;

  // The service of a backend id, as FlowTable::find() asks for it.
  uint16_t operator[](uint16_t backend) const { return ruleset.backends[backend].service; }
};

// What the stages need to know of the port that a packet came in by.
struct PortTraits {
  uint16_t id = 0;       // port id, as in a Hop
  uint8_t side = 0;      // kClientSide | kBackendSide (options.h)
  bool steered = false;  // the steering program has picked its packets
};

// How many packets ahead a stage prefetches: a line from memory takes some 400 cycles.
inline constexpr uint32_t kAhead = 12;

struct Burst {
  static constexpr uint32_t kCapacity = 64;

  uint32_t count = 0;
  rte_mbuf* mbufs[kCapacity];
  Verdict verdicts[kCapacity];        // every stage may decide
  PacketShape shapes[kCapacity];      // classify
  Role roles[kCapacity];              // classify; then track: kOfResetFlow
  FlowKey keys[kCapacity];            // classify; the flow's name, from either side
  uint64_t client_hashes[kCapacity];  // look_up
  uint16_t backends[kCapacity];  // classify, for replies: where it comes from; then track: the backend to
                                 // talk to or for
  FlowTable::Place places[kCapacity];  // look_up
  FlowIndex flows[kCapacity];          // look_up: a guess; then track
  uint64_t hops[kCapacity];            // track: Hop word to leave by
};

}  // namespace teal
