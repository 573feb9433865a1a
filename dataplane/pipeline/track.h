// SPDX-License-Identifier: Apache-2.0
//
// The stage that knows flows. It finds the flow of each packet and says which backend the packet goes to or
// comes from, and by which hop it leaves:
//
//   fast path   fast_path.h   the flow is steady: the packet is translated at once
//   slow path   slow_path.h   all other packets: translate() follows
//
// Packets of one flow may follow each other within a burst, so the stage goes packet by packet.
#pragma once

#include <span>

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/look_ahead.h"
#include "dataplane/pipeline/slow_path.h"
#include "dataplane/pipeline/translate.h"
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

class Tracker {
 public:
  Tracker(SegmentHeader& header, WorkerBlock& block, WorkerFlows& flows, LastHops& last_hops,
          Signals& signals, Asks& asks)
      : header_(header),
        block_(block),
        flows_(flows),
        last_hops_(last_hops),
        slow_path_(header, block, flows, last_hops, signals, asks) {}

  // Decides about each undecided packet, or gives it a backend and a hop. Returns how many packets are left
  // undecided, for translate(). `ports` as for classify(), `macs` as for translate().
  uint32_t track(Burst& burst, const Rules& rules, std::span<const PortTraits> ports, const PortMacs& macs,
                 const LookAhead& lookups, uint64_t now_tick);

 private:
  SegmentHeader& header_;
  WorkerBlock& block_;
  WorkerFlows& flows_;
  LastHops& last_hops_;
  SlowPath slow_path_;
};

}  // namespace teal
