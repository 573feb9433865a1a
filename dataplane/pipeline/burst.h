// SPDX-License-Identifier: Apache-2.0
//
// A burst of packets on its way through the stages of worker.cc. A stage reads what earlier stages wrote of a
// packet and skips packets whose verdict is decided.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/packet/parse.h"
#include "dataplane/pipeline/verdict.h"
#include "dataplane/shm/flow_table.h"
#include "dataplane/shm/rules.h"

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

// What the stages need to know of the port that a packet came in by.
struct PortTraits {
  uint64_t hop_prefix = 0;  // Hop::word_of(id, 0)
  uint16_t id = 0;          // port id, as in a Hop
  uint8_t side = 0;         // kClientSide | kBackendSide (options.h)
  bool steered = false;     // the steering program has picked its packets
};

struct Packet {
  uint8_t* frame;                // classify; where it begins
  rte_mbuf* mbuf;                // classify
  FlowKey key;                   // classify; the flow's name, from either side
  PacketShape shape;             // classify
  FlowTable::Location location;  // classify
  FlowIndex flow;                // track; a guess at first (look_ahead.h)
  uint64_t hop;                  // track: Hop word to leave by
  uint16_t backend;  // classify, for replies: where it comes from; then track: the backend to talk to or for
  Role role;         // classify; then track: kOfResetFlow
  Verdict verdict = Verdict::forward();  // every stage may decide
};
static_assert(sizeof(Packet) == 96);

struct Burst {
  static constexpr uint32_t kCapacity = 64;
  // How far a stage may look ahead without asking for the end: behind the last packet there are others, of no
  // meaning, which are decided. A line from memory takes some 400 cycles.
  static constexpr uint32_t kMaxAhead = 24;

  uint32_t count = 0;
  rte_mbuf* mbufs[kCapacity];
  Packet packets[kCapacity + kMaxAhead];  // packets[i] is that of mbufs[i]

  std::span<Packet> all() { return {packets, count}; }
};

}  // namespace teal
