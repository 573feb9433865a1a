// SPDX-License-Identifier: Apache-2.0
#include "dataplane/translate.h"

#include <rte_mbuf.h>

#include "dataplane/packet/rewrite.h"

namespace teal {
namespace {

Verdict translate_one(Burst& burst, uint32_t i, const Rules& rules,
                      std::span<const Port* const> ports_by_id) {
  const Hop hop = Hop::from_word(burst.hops[i]);
  const Port* out = hop.port < ports_by_id.size() ? ports_by_id[hop.port] : nullptr;
  if (out == nullptr) return Verdict::drop(DropReason::k_no_next_hop);

  auto* frame = rte_pktmbuf_mtod(burst.mbufs[i], uint8_t*);
  const ParsedPacket& packet = burst.packets[i];
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
  }
  write_ethernet_addresses(frame, hop.mac, out->mac);
  return Verdict::forward();
}

}  // namespace

void translate(Burst& burst, const Rules& rules, std::span<const Port* const> ports_by_id) {
  for (uint32_t i = 0; i < burst.count; ++i) {
    if (burst.verdicts[i].is_undecided()) burst.verdicts[i] = translate_one(burst, i, rules, ports_by_id);
  }
}

}  // namespace teal
