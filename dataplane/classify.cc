// SPDX-License-Identifier: Apache-2.0
#include "dataplane/classify.h"

#include "dataplane/options.h"
#include "dataplane/packet/parse_plain.h"

#include <rte_mbuf.h>

namespace teal {
namespace {

// The last hop of a packet is this one: it makes no flow and counts nowhere, and the kernel answers for it
// (ICMP time exceeded; RFC 1812, 5.3.1).
Verdict unless_expired(const PacketShape& packet) {
  return packet.ttl <= 1 ? Verdict::punt() : Verdict::undecided();
}

// By words: a copy of a fresh address as a whole waits for the stores of its halves.
void name(FlowKey& key, const IpAddress& client, Be16 client_port, uint16_t service) {
  key.client = IpAddress::from_words(client.word(0), client.word(1));
  key.client_port = client_port;
  key.service = service;
}

// An ICMP error is about a packet that went the other way, so its quoted addresses are read with the ends
// exchanged: one set of tests then serves both.
template <bool kIcmp>
[[gnu::always_inline]] inline Verdict name_flow(Burst& burst, uint32_t i, const Rules& rules,
                                                std::span<const PortTraits> ports,
                                                const ParsedPacket& packet) {
  const IpAddress& from = kIcmp ? packet.destination : packet.source;
  const IpAddress& to = kIcmp ? packet.source : packet.destination;
  const Be16 from_port = kIcmp ? packet.destination_port : packet.source_port;
  const Be16 to_port = kIcmp ? packet.source_port : packet.destination_port;
  burst.shapes[i] = packet;
  FlowKey& key = burst.keys[i];
  if (const uint16_t service = rules.ruleset.find_service(to, to_port, packet.protocol); service != kNoId) {
    burst.roles[i] = kIcmp ? Role::kIcmpToVip : Role::kToVip;
    name(key, from, from_port, service);
    return unless_expired(packet);
  }
  if ((ports[burst.mbufs[i]->port].side & kBackendSide) != 0) {
    if (const uint16_t backend = rules.ruleset.find_backend(from, from_port, packet.protocol);
        backend != kNoId) {
      burst.roles[i] = kIcmp ? Role::kIcmpFromBackend : Role::kFromBackend;
      name(key, to, to_port, rules[backend]);
      burst.backends[i] = backend;
      return unless_expired(packet);
    }
  }
  return Verdict::punt();
}

// What parse_plain() does not take.
[[gnu::noinline]] Verdict classify_any(Burst& burst, uint32_t i, const Rules& rules,
                                       std::span<const PortTraits> ports) {
  const rte_mbuf* mbuf = burst.mbufs[i];
  const ParsedPacket packet = parse(rte_pktmbuf_mtod(mbuf, const uint8_t*), rte_pktmbuf_data_len(mbuf));
  switch (packet.result) {
    case ParseResult::kFlowPacket:
      return name_flow<false>(burst, i, rules, ports, packet);
    case ParseResult::kIcmpError:
      return name_flow<true>(burst, i, rules, ports, packet);
    case ParseResult::kOther:
      return Verdict::punt();
    // On a steered port it is to a VIP's or from a backend's address; without ports it has no flow.
    case ParseResult::kFragment:
      return ports[mbuf->port].steered ? Verdict::drop(DropReason::k_fragment) : Verdict::punt();
    case ParseResult::kTruncated:
      return Verdict::drop(DropReason::k_truncated);
    case ParseResult::kBadHeader:
      return Verdict::drop(DropReason::k_bad_header);
  }
  return Verdict::punt();
}

[[gnu::always_inline]] inline Verdict classify_one(Burst& burst, uint32_t i, const Rules& rules,
                                                   std::span<const PortTraits> ports) {
  const rte_mbuf* mbuf = burst.mbufs[i];
  const auto* frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  const uint32_t bytes = rte_pktmbuf_data_len(mbuf);
  // A copy of name_flow() for each family, which knows what is constant there.
  if (ParsedPacket packet; parse_plain_ipv4(frame, bytes, packet))
    return name_flow<false>(burst, i, rules, ports, packet);
  if (ParsedPacket packet; parse_plain_ipv6(frame, bytes, packet))
    return name_flow<false>(burst, i, rules, ports, packet);
  return classify_any(burst, i, rules, ports);
}

}  // namespace

void classify(Burst& burst, const Rules& rules, std::span<const PortTraits> ports) {
  const uint32_t count = burst.count;
  for (uint32_t i = 0; i < count; ++i) {
    if (i + kAhead < count) prefetch(rte_pktmbuf_mtod(burst.mbufs[i + kAhead], const void*));
    burst.verdicts[i] = classify_one(burst, i, rules, ports);
  }
}

}  // namespace teal
