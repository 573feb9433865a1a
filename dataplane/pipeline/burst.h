// SPDX-License-Identifier: Apache-2.0
//
// A burst of packets on its way through the stages of worker.cc. Each packet has a row. A stage reads the
// fields that earlier stages wrote, and skips packets whose verdict is decided.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/packet/parse.h"
#include "dataplane/pipeline/verdict.h"
#include "dataplane/shm/flow_table.h"
#include "dataplane/shm/hop.h"
#include "dataplane/shm/rules.h"

struct rte_mbuf;

namespace teal {

// A packet's role says what the packet is to Teal.
enum class Role : uint8_t {
  kToVip,
  kFromBackend,
  kIcmpToVip,
  kIcmpFromBackend,
  kToPreview,      // to the service's preview address
  kFromPreview,    // of a backend, about a flow to the preview address: leaves from there
  kIcmpToPreview,  // the same for ICMP errors
  kIcmpFromPreview,
  kOfResetFlow,  // of a flow that Teal resets: goes back to its sender as a RST
  kRejected,     // its pool refuses new flows: goes back to its client as a RST or an ICMP error
};

// The stages' view of the port that a packet came in by.
struct PortTraits {
  uint64_t hop_prefix = 0;  // Hop::word_of(id, 0)
  uint64_t mac = 0;         // the port's own, as MacAddress::word() gives it
  uint64_t mac_mask = 0;    // the bits of a frame's first 8 bytes that must be as in `mac`
  uint16_t id = 0;          // port id, as in a Hop
  uint8_t side = 0;         // kClientSide | kBackendSide (options.h)
  bool steered = false;     // the steering program selects its packets

  // Some virtual devices have no MAC address (net_ring: all zeros), so nobody can send to it. Such a port
  // takes frames to any address.
  void set_mac(const MacAddress& own) {
    mac = own.word();
    mac_mask = mac == 0 ? 0 : Hop::kMacMask;
  }
};

struct Packet {
  // Each comment names the stage that writes the field.
  uint8_t* frame;                // classify: the first byte
  rte_mbuf* mbuf;                // classify
  FlowKey key;                   // classify: the same for both directions
  PacketShape shape;             // classify
  FlowTable::Location location;  // classify
  FlowIndex flow;                // look_ahead.h: the candidate slot; then track: the flow
  uint64_t hop;                  // track: the Hop word to leave by
  uint16_t backend;              // classify: where a reply comes from; track: where a client's packet goes
  Role role;                     // classify; track may change it to kFromPreview or one behind it
  Verdict verdict = Verdict::forward();  // every stage may decide
};
static_assert(sizeof(Packet) == 96);

struct Burst {
  static constexpr uint32_t kCapacity = 64;
  // So many packets ahead a stage may look without a check for the end: rows past `count` are stale, and
  // their verdict is decided, so lookups skip them. A line from memory takes some 400 cycles.
  static constexpr uint32_t kMaxAhead = 24;

  uint32_t count = 0;
  rte_mbuf* mbufs[kCapacity];
  Packet packets[kCapacity + kMaxAhead];  // packets[i] is the row of mbufs[i]

  std::span<Packet> all() { return {packets, count}; }
};

}  // namespace teal
