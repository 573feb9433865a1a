// SPDX-License-Identifier: Apache-2.0
//
// Watches the links and MAC addresses and reads the NICs' counters, on the main thread. The workers take part
// only in a change of a MAC address (current_macs.h).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <rte_ethdev.h>

#include "dataplane/current_macs.h"
#include "dataplane/loss_log.h"
#include "dataplane/port.h"
#include "dataplane/shm/segment.h"

namespace teal {

using NicCounters = std::array<uint64_t, kNicCounterCount>;  // by NicCounter

// Returns the counters of a DPDK driver by Teal's names.
NicCounters nic_counters(const rte_eth_stats& stats);

class PortMonitor {
 public:
  // All three must outlive this object.
  PortMonitor(std::span<const Port> ports, SegmentHeader& header, CurrentMacs& macs)
      : ports_(ports), header_(header), macs_(macs), loss_logs_(ports.size()), refused_macs_(ports.size()) {}

  // Writes the link and the counters of each port into its row. Logs a link that has changed, and passes it
  // on to the port's TAP, so that the kernel's routes and neighbours follow the NIC. Logs packets that the
  // NIC lost. main() calls it a few times a second.
  void look();

  // Takes over each MAC address that has changed: into the steering program, the port's row, and the workers.
  // look() calls it, too. Until then, the steering program gives frames to the new address to the kernel.
  void follow_macs();

 private:
  std::span<const Port> ports_;
  SegmentHeader& header_;
  CurrentMacs& macs_;
  std::vector<LossLog> loss_logs_;        // as ports_
  std::vector<MacAddress> refused_macs_;  // as ports_: the latest that the steering program did not get
};

}  // namespace teal
