// SPDX-License-Identifier: Apache-2.0
#include "dataplane/classify.h"

#include "dataplane/options.h"

#include <rte_mbuf.h>

namespace teal {
namespace {

// A flow packet as its receiver answers it. An ICMP error is about a packet that went the other way, so its
// quoted addresses are read with the ends exchanged: one set of tests then serves both.
struct Ends {
  Socket from, to;
};

Ends ends_of(const ParsedPacket& packet) {
  Socket source{packet.source, packet.source_port, packet.protocol};
  Socket destination{packet.destination, packet.destination_port, packet.protocol};
  if (packet.result == ParseResult::kIcmpError) return {destination, source};
  return {source, destination};
}

// The last hop of a packet is this one: it makes no flow and counts nowhere, and the kernel answers for it
// (ICMP time exceeded; RFC 1812, 5.3.1).
Verdict unless_expired(const ParsedPacket& packet) {
  return packet.ttl <= 1 ? Verdict::punt() : Verdict::undecided();
}

Verdict classify_one(Burst& burst, uint32_t i, const Rules& rules, PortTraits port) {
  const ParsedPacket& packet = burst.packets[i];
  switch (packet.result) {
    case ParseResult::kFlowPacket:
    case ParseResult::kIcmpError:
      break;
    case ParseResult::kOther:
      return Verdict::punt();
    // On a steered port it is to a VIP's or from a backend's address; without ports it has no flow.
    case ParseResult::kFragment:
      return port.steered ? Verdict::drop(DropReason::k_fragment) : Verdict::punt();
    case ParseResult::kTruncated:
      return Verdict::drop(DropReason::k_truncated);
    case ParseResult::kBadHeader:
      return Verdict::drop(DropReason::k_bad_header);
  }
  const bool icmp = packet.result == ParseResult::kIcmpError;
  const Ends ends = ends_of(packet);
  if (const uint16_t service = rules.ruleset.find_service(ends.to); service != kNoId) {
    burst.roles[i] = icmp ? Role::kIcmpToVip : Role::kToVip;
    burst.keys[i] = {ends.from.address, ends.from.port, service};
    return unless_expired(packet);
  }
  if ((port.side & kBackendSide) != 0) {
    if (const uint16_t backend = rules.ruleset.find_backend(ends.from); backend != kNoId) {
      burst.roles[i] = icmp ? Role::kIcmpFromBackend : Role::kFromBackend;
      burst.keys[i] = {ends.to.address, ends.to.port, rules[backend]};
      burst.backends[i] = backend;
      return unless_expired(packet);
    }
  }
  return Verdict::punt();
}

}  // namespace

void classify(Burst& burst, const Rules& rules, std::span<const PortTraits> ports, uint64_t hash_seed) {
  for (uint32_t i = 0; i < burst.count; ++i) {
    burst.verdicts[i] = classify_one(burst, i, rules, ports[burst.mbufs[i]->port]);
    if (!burst.verdicts[i].is_undecided()) continue;
    burst.client_hashes[i] = client_hash(burst.keys[i].client, burst.keys[i].client_port, hash_seed);
  }
}

}  // namespace teal
