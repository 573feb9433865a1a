// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/classify.h"

#include <algorithm>

#include "dataplane/config/options.h"
#include "dataplane/packet/parse_plain.h"

#include <rte_mbuf.h>

namespace teal {
namespace {

// The same for all packets of a burst.
struct Context {
  const Rules& rules;
  std::span<const PortTraits> ports;
  const FlowTable& table;
};

// The kernel gets a packet of no service.
Verdict punt_to(const IpAddress& destination, const Ruleset& ruleset) {
  return Verdict::punt(ruleset.is_service_address(destination) ? PuntClass::kToVip : PuntClass::kHost);
}

// Writes the packet's role and flow key, and finds its location in the table. The client's address is copied
// word by word: a 16-byte load would wait for the two 8-byte stores before it.
//
// A packet whose TTL ends here begins no flow and is not counted: the kernel answers it by an ICMP time
// exceeded (RFC 1812, 5.3.1).
[[gnu::always_inline]] inline Verdict classify_as(Packet& packet, const Context& context, Role role,
                                                  const IpAddress& client, Be16 client_port, uint16_t service,
                                                  uint8_t ttl) {
  packet.role = role;
  packet.key.client = IpAddress::from_words(client.word(0), client.word(1));
  packet.key.client_port = client_port;
  packet.key.service = service;
  packet.location = context.table.locate(flow_hash(client, client_port, service, context.table.secret()));
  context.table.prefetch_tags(packet.location.first);
  if (ttl <= 1) [[unlikely]]
    return Verdict::punt(PuntClass::kExpired);
  return Verdict::undecided();
}

// An ICMP error is about a packet of the other direction, so its quoted addresses are read with the ends
// exchanged. The same tests then serve both.
template <bool kIcmp, typename Parsed>
[[gnu::always_inline]] inline Verdict classify_flow(Packet& packet, const Context& context,
                                                    const Parsed& parsed, uint8_t protocol, uint8_t ttl) {
  const IpAddress& from = kIcmp ? parsed.destination : parsed.source;
  const IpAddress& to = kIcmp ? parsed.source : parsed.destination;
  const Be16 from_port = kIcmp ? parsed.destination_port : parsed.source_port;
  const Be16 to_port = kIcmp ? parsed.source_port : parsed.destination_port;
  const Ruleset& ruleset = context.rules.ruleset;
  const uint16_t service = ruleset.find_service(to, to_port, protocol);
  if (service < kPreviewAddress)
    return classify_as(packet, context, kIcmp ? Role::kIcmpToVip : Role::kToVip, from, from_port, service,
                       ttl);
  if (service != kNoId) [[unlikely]]
    return classify_as(packet, context, kIcmp ? Role::kIcmpToPreview : Role::kToPreview, from, from_port,
                       service - kPreviewAddress, ttl);
  if ((context.ports[packet.mbuf->port].side & kBackendSide) != 0) {
    if (const uint16_t backend = ruleset.find_backend(from, from_port, protocol); backend != kNoId) {
      packet.backend = backend;
      return classify_as(packet, context, kIcmp ? Role::kIcmpFromBackend : Role::kFromBackend, to, to_port,
                         context.rules[backend], ttl);
    }
  }
  return punt_to(to, ruleset);
}

[[gnu::always_inline]] inline Verdict classify_plain(Packet& packet, const Context& context,
                                                     const PlainPacket& plain) {
  plain.put_shape(packet.shape);
  return classify_flow<false>(packet, context, plain, plain.protocol(), plain.ttl());
}

// Packets that are not plain: IP options, extension headers, ICMP errors, fragments, broken ones.
[[gnu::noinline]] Verdict classify_any(Packet& packet, const Context& context) {
  const ParsedPacket parsed = parse(packet.frame, rte_pktmbuf_data_len(packet.mbuf));
  packet.shape = parsed;
  switch (parsed.result) {
    case ParseResult::kFlowPacket:
      return classify_flow<false>(packet, context, parsed, parsed.protocol, parsed.ttl);
    case ParseResult::kIcmpError:
      return classify_flow<true>(packet, context, parsed, parsed.protocol, parsed.ttl);
    case ParseResult::kOther:
      return punt_to(parsed.destination, context.rules.ruleset);
    // On a steered port, a fragment is to a VIP's or from a backend's address. Without L4 ports it has no
    // flow.
    case ParseResult::kFragment:
      return context.ports[packet.mbuf->port].steered ? Verdict::drop(DropReason::k_fragment)
                                                      : punt_to(parsed.destination, context.rules.ruleset);
    case ParseResult::kTruncated:
      return Verdict::drop(DropReason::k_truncated);
    case ParseResult::kBadHeader:
      return Verdict::drop(DropReason::k_bad_header);
  }
  return Verdict::punt(PuntClass::kHost);
}

// Returns true if the frame's destination is another MAC address than the port's: the frame is broadcast or
// multicast, or a switch has flooded it. The function reads 8 bytes, which every mbuf has room for.
[[gnu::always_inline]] inline bool is_for_another_mac(const uint8_t* frame, const PortTraits& port) {
  return ((plain::load<uint64_t>(frame) ^ port.mac) & port.mac_mask) != 0;
}

// The kernel decides what becomes of such a frame. A frame without a whole Ethernet header has no address. A
// packet to a service's address has the limit of other packets there: a broadcast flood must not fill the
// TAP's queue.
//
// The worker that receives a frame stops it, so none is handed over. The owner of a flow compares again. The
// two disagree only while the port's address changes. Then a packet may be lost, which its sender repeats.
[[gnu::cold, gnu::noinline]] Verdict classify_for_another_mac(const Packet& packet, const Context& context) {
  const uint32_t bytes = rte_pktmbuf_data_len(packet.mbuf);
  if (bytes < kEthernetBytes) return Verdict::drop(DropReason::k_truncated);
  const ParsedPacket parsed = parse(packet.frame, bytes);
  const bool is_icmp_error = parsed.result == ParseResult::kIcmpError;  // it is sent to the quoted source
  return punt_to(is_icmp_error ? parsed.source : parsed.destination, context.rules.ruleset);
}

// classify_plain() is compiled once for each family, so that the family's offsets are constants.
[[gnu::always_inline]] inline Verdict classify_one(Packet& packet, const Context& context) {
  const uint32_t bytes = rte_pktmbuf_data_len(packet.mbuf);
  if (is_for_another_mac(packet.frame, context.ports[packet.mbuf->port])) [[unlikely]]
    return classify_for_another_mac(packet, context);
  if (PlainPacket plain; parse_plain_ipv4(packet.frame, bytes, plain)) [[likely]]
    return classify_plain(packet, context, plain);
  if (PlainPacket plain; parse_plain_ipv6(packet.frame, bytes, plain))
    return classify_plain(packet, context, plain);
  return classify_any(packet, context);
}

}  // namespace

void classify(Burst& burst, const Rules& rules, std::span<const PortTraits> ports, const LookAhead& lookups) {
  const Context context{rules, ports, lookups.table()};
  constexpr uint32_t kAhead = 12;  // packets
  const uint32_t count = burst.count;
  for (uint32_t i = 0; i < count; ++i) {
    prefetch(rte_pktmbuf_mtod(burst.mbufs[std::min(i + kAhead, count - 1)], const void*));
    Packet& packet = burst.packets[i];
    packet.mbuf = burst.mbufs[i];
    packet.frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
    packet.verdict = classify_one(packet, context);
    lookups.classified(i);
  }
}

}  // namespace teal
