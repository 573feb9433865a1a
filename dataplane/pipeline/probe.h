// SPDX-License-Identifier: Apache-2.0
//
// A probe is an ACK outside of any window, by which Teal makes an end of a TCP flow tell what it knows:
//
//   the end has the connection  it answers by an ACK with its exact numbers (RFC 9293, 3.10.7.4)
//   it does not                 it answers by a RST, whose sequence number is the probe's acknowledgement
//                               number (RFC 9293, 3.10.7.1)
//   silence                     it cannot be reached, or a firewall drops segments outside of the window
#pragma once

#include <cstdint>

#include "dataplane/pipeline/burst.h"

struct rte_mempool;

namespace teal {

// Makes a worker's probes.
class Probes {
 public:
  // A probe takes an mbuf of `pool` and becomes an undecided row of `burst`: it has a hop, and lacks only its
  // Ethernet addresses.
  Probes(rte_mempool* pool, Burst& burst);

  bool have_room_for(uint32_t probes) const { return burst_.count + probes <= Burst::kCapacity; }
  uint32_t random();

  // Returns false without a hop, a source address or a free mbuf: that is like a lost probe.
  bool send(const Socket& source, const Socket& destination, uint32_t acknowledgement, uint64_t hop_word);

 private:
  rte_mempool* pool_;
  Burst& burst_;
  uint64_t random_;
};

}  // namespace teal
