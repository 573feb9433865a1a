// SPDX-License-Identifier: Apache-2.0
#include "dataplane/parse_packets.h"

#include <new>

#include <rte_mbuf.h>
#include <rte_prefetch.h>

namespace teal {

void parse_packets(Burst& burst) {
  for (uint32_t i = 0; i < burst.count; ++i) rte_prefetch0(rte_pktmbuf_mtod(burst.mbufs[i], void*));
  for (uint32_t i = 0; i < burst.count; ++i) {
    const rte_mbuf* mbuf = burst.mbufs[i];
    // In place: a copy right behind the narrow stores of parse() waits for each of them.
    new (&burst.packets[i])
        ParsedPacket(parse(rte_pktmbuf_mtod(mbuf, const uint8_t*), rte_pktmbuf_data_len(mbuf)));
  }
}

}  // namespace teal
