// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/probe.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "dataplane/packet/tcp_segment.h"
#include "dataplane/shm/hop.h"

namespace teal {

Probes::Probes(rte_mempool* pool, Burst& burst)
    : pool_(pool), burst_(burst), random_(rte_rdtsc()) {}  // a seed, not a time

uint32_t Probes::random() {
  random_ += kMixA;
  return static_cast<uint32_t>(mix(random_, kMixB));
}

bool Probes::send(const Socket& source, const Socket& destination, uint32_t acknowledgement,
                  uint64_t hop_word) {
  if (hop_word == Hop::kNone || source.protocol == 0) return false;
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
  if (mbuf == nullptr) return false;
  auto* frame = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(mbuf, kTcpSegmentBytes));
  const uint32_t bytes = write_tcp_segment(frame, {.source = source,
                                                   .destination = destination,
                                                   .sequence = {random()},
                                                   .acknowledgement = Be32::from_host(acknowledgement),
                                                   .flags = kTcpAck});
  rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(kTcpSegmentBytes - bytes));
  const uint32_t row = burst_.count++;
  burst_.mbufs[row] = mbuf;
  Packet& packet = burst_.packets[row];
  packet.frame = frame;
  packet.mbuf = mbuf;
  packet.hop = hop_word;
  packet.verdict = Verdict::undecided();
  return true;
}

}  // namespace teal
