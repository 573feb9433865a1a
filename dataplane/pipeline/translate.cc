// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/translate.h"

#include <rte_mbuf.h>

#include "dataplane/packet/port_unreachable.h"
#include "dataplane/packet/tcp_segment.h"

namespace teal {
namespace {

void become_rst(const Packet& packet) {
  const uint32_t bytes = turn_into_rst(packet.frame, parse(packet.frame, rte_pktmbuf_data_len(packet.mbuf)));
  rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(rte_pktmbuf_data_len(packet.mbuf) - bytes));
}

// Rejects::reject() has checked that the mbuf has the room.
void become_rejection(const Packet& packet) {
  rte_mbuf* mbuf = packet.mbuf;
  const uint16_t before = rte_pktmbuf_data_len(mbuf);
  const ParsedPacket parsed = parse(packet.frame, before);
  const auto bytes = static_cast<uint16_t>(packet.shape.protocol == kProtocolTcp
                                               ? turn_into_refusal(packet.frame, parsed)
                                               : turn_into_port_unreachable(packet.frame, parsed));
  if (bytes > before)
    rte_pktmbuf_append(mbuf, static_cast<uint16_t>(bytes - before));
  else
    rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(before - bytes));
}

Verdict translate_one(Packet& packet, const Rules& rules, const PortMacs& macs) {
  const uint64_t mac = macs.of(packet.hop);
  if (mac == 0) return Verdict::drop(DropReason::k_no_next_hop);

  const BackendRule& backend = rules.ruleset.backends[packet.backend];
  const ServiceRule& service = rules.ruleset.services[backend.service];
  const bool is_of_preview = packet.role >= Role::kToPreview && packet.role <= Role::kIcmpFromPreview;
  if (is_of_preview && service.preview.protocol == 0) return Verdict::drop(DropReason::k_no_preview);
  const Socket& vip = is_of_preview ? service.preview : service.vip;
  switch (packet.role) {
    case Role::kToVip:
      forward_to_destination(packet.frame, packet.shape, backend.socket, backend.from_vip);
      break;
    case Role::kFromBackend:
      forward_from_source(packet.frame, packet.shape, vip, backend.from_vip.reversed());
      break;
    case Role::kToPreview:
      forward_to_destination(packet.frame, packet.shape, backend.socket,
                             ChecksumDelta::between(vip, backend.socket));
      break;
    case Role::kFromPreview:
      forward_from_source(packet.frame, packet.shape, vip, ChecksumDelta::between(backend.socket, vip));
      break;
    case Role::kIcmpToVip:
    case Role::kIcmpToPreview:
      decrement_ttl(packet.frame, packet.shape);
      rewrite_icmp_to_backend(packet.frame, packet.shape, vip, backend.socket);
      break;
    case Role::kIcmpFromBackend:
    case Role::kIcmpFromPreview:
      decrement_ttl(packet.frame, packet.shape);
      rewrite_icmp_to_client(packet.frame, packet.shape, vip, backend.socket);
      break;
    case Role::kOfResetFlow:
      become_rst(packet);
      break;
    case Role::kRejected:
      become_rejection(packet);
      break;
  }
  write_ethernet_addresses(packet.frame, packet.hop & Hop::kMacMask, mac);
  return Verdict::forward();
}

}  // namespace

void translate(Burst& burst, const Rules& rules, const PortMacs& macs) {
  for (Packet& packet : burst.all()) {
    if (packet.verdict.is_undecided()) packet.verdict = translate_one(packet, rules, macs);
  }
}

void address(Burst& burst, const PortMacs& macs) {
  for (Packet& packet : burst.all()) {
    const uint64_t mac = macs.of(packet.hop);
    if (mac != 0) write_ethernet_addresses(packet.frame, packet.hop & Hop::kMacMask, mac);
    packet.verdict = mac == 0 ? Verdict::drop(DropReason::k_no_next_hop) : Verdict::forward();
  }
}

}  // namespace teal
