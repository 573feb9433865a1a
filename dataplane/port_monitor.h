// SPDX-License-Identifier: Apache-2.0
//
// Watches the links and reads the NICs' counters, on the main thread. The workers do not take part.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <rte_ethdev.h>

#include "dataplane/loss_log.h"
#include "dataplane/port.h"
#include "dataplane/shm/segment.h"

namespace teal {

using NicCounters = std::array<uint64_t, kNicCounterCount>;  // by NicCounter

// Returns the counters of a DPDK driver by Teal's names.
NicCounters nic_counters(const rte_eth_stats& stats);

class PortMonitor {
 public:
  // Both must outlive this object.
  PortMonitor(std::span<const Port> ports, SegmentHeader& header)
      : ports_(ports), header_(header), loss_logs_(ports.size()) {}

  // Writes the link and the counters of each port into its row. Logs a link that has changed, and passes it
  // on to the port's TAP, so that the kernel's routes and neighbours follow the NIC. Logs packets that the
  // NIC lost. main() calls it a few times a second.
  void look();

 private:
  std::span<const Port> ports_;
  SegmentHeader& header_;
  std::vector<LossLog> loss_logs_;  // as ports_
};

}  // namespace teal
