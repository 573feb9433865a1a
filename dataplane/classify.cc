// SPDX-License-Identifier: Apache-2.0
#include "dataplane/classify.h"

#include "dataplane/options.h"

#include <rte_mbuf.h>

namespace teal {
namespace {

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
  // An ICMP error is about a packet that went the other way, so its quoted addresses are read with the ends
  // exchanged: one set of tests then serves both.
  const bool icmp = packet.result == ParseResult::kIcmpError;
  const IpAddress& from = icmp ? packet.destination : packet.source;
  const IpAddress& to = icmp ? packet.source : packet.destination;
  const Be16 from_port = icmp ? packet.destination_port : packet.source_port;
  const Be16 to_port = icmp ? packet.source_port : packet.destination_port;
  FlowKey& key = burst.keys[i];  // member by member: a copy of a fresh one waits for its narrow stores
  if (const uint16_t service = rules.ruleset.find_service(to, to_port, packet.protocol); service != kNoId) {
    burst.roles[i] = icmp ? Role::kIcmpToVip : Role::kToVip;
    key.client = from;
    key.client_port = from_port;
    key.service = service;
    return unless_expired(packet);
  }
  if ((port.side & kBackendSide) != 0) {
    if (const uint16_t backend = rules.ruleset.find_backend(from, from_port, packet.protocol);
        backend != kNoId) {
      burst.roles[i] = icmp ? Role::kIcmpFromBackend : Role::kFromBackend;
      key.client = to;
      key.client_port = to_port;
      key.service = rules[backend];
      burst.backends[i] = backend;
      return unless_expired(packet);
    }
  }
  return Verdict::punt();
}

}  // namespace

void classify(Burst& burst, const Rules& rules, std::span<const PortTraits> ports, const FlowTable& table) {
  for (uint32_t i = 0; i < burst.count; ++i) {
    burst.verdicts[i] = classify_one(burst, i, rules, ports[burst.mbufs[i]->port]);
    if (!burst.verdicts[i].is_undecided()) continue;
    const FlowKey& key = burst.keys[i];
    burst.client_hashes[i] = client_hash(key.client, key.client_port, table.hash_seed());
    burst.places[i] = table.place_of(burst.client_hashes[i], key.service);
    table.prefetch_tags(burst.places[i]);
  }
}

}  // namespace teal
