// SPDX-License-Identifier: Apache-2.0
#include "dataplane/translate.h"

#include <rte_mbuf.h>

#include "dataplane/packet/rewrite.h"
#include "dataplane/packet/tcp_segment.h"

namespace teal {
namespace {

// The port that a hop leaves by.
const Port* port_of(uint64_t hop_word, std::span<const Port* const> ports_by_id) {
  const uint16_t port = Hop::port_of(hop_word);
  return port < ports_by_id.size() ? ports_by_id[port] : nullptr;
}

void become_rst(rte_mbuf* mbuf) {
  auto* frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
  const uint32_t bytes = turn_into_rst(frame, parse(frame, rte_pktmbuf_data_len(mbuf)));
  rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(rte_pktmbuf_data_len(mbuf) - bytes));
}

[[gnu::always_inline]] inline Verdict translate_one(Burst& burst, uint32_t i, const Rules& rules,
                                                    std::span<const Port* const> ports_by_id) {
  const uint64_t hop = burst.hops[i];
  const Port* out = port_of(hop, ports_by_id);
  if (out == nullptr) return Verdict::drop(DropReason::k_no_next_hop);

  auto* frame = rte_pktmbuf_mtod(burst.mbufs[i], uint8_t*);
  const PacketShape& packet = burst.shapes[i];
  decrement_ttl(frame, packet);
  const BackendRule& backend = rules.ruleset.backends[burst.backends[i]];
  const Socket& vip = rules.ruleset.services[backend.service].vip;
  switch (burst.roles[i]) {
    case Role::kToVip:
      rewrite_destination(frame, packet, backend.socket, backend.from_vip);
      break;
    case Role::kFromBackend:
      rewrite_source(frame, packet, vip, backend.from_vip.reversed());
      break;
    case Role::kIcmpToVip:
      rewrite_icmp_to_backend(frame, packet, vip, backend.socket);
      break;
    case Role::kIcmpFromBackend:
      rewrite_icmp_to_client(frame, packet, vip, backend.socket);
      break;
    case Role::kOfResetFlow:
      become_rst(burst.mbufs[i]);
      break;
  }
  write_ethernet_addresses(frame, hop & Hop::kMacMask, out->mac.word());
  return Verdict::forward();
}

}  // namespace

void translate(Burst& burst, const Rules& rules, std::span<const Port* const> ports_by_id) {
  for (uint32_t i = 0; i < burst.count; ++i) {
    if (burst.verdicts[i].is_undecided()) burst.verdicts[i] = translate_one(burst, i, rules, ports_by_id);
  }
}

void address(Burst& burst, std::span<const Port* const> ports_by_id) {
  for (uint32_t i = 0; i < burst.count; ++i) {
    const uint64_t hop = burst.hops[i];
    const Port* out = port_of(hop, ports_by_id);
    if (out != nullptr)
      write_ethernet_addresses(rte_pktmbuf_mtod(burst.mbufs[i], uint8_t*), hop & Hop::kMacMask,
                               out->mac.word());
    burst.verdicts[i] = out == nullptr ? Verdict::drop(DropReason::k_no_next_hop) : Verdict::forward();
  }
}

}  // namespace teal
