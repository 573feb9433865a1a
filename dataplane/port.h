// SPDX-License-Identifier: Apache-2.0
//
// Ports. A port is one interface or NIC with one or more queues. The driver decides what the port is in DPDK:
//
//   PCI, vdev, AF_PACKET   one ethdev with a queue pair for each worker
//   AF_XDP                 one ethdev for each queue of the interface, as the kernel keeps the queues
//
// Worker q % workers polls queue q, and worker w transmits on queue w. So a port needs at least as many
// queues as there are workers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "bpf/steer_map.h"
#include "dataplane/config/options.h"
#include "dataplane/pipeline/burst.h"
#include "dataplane/shm/segment.h"
#include "dataplane/tap.h"

struct rte_mempool;

namespace teal {

struct PortQueue {
  uint16_t ethdev = 0;
  uint16_t queue = 0;
};

struct Port {
  uint16_t id = 0;  // row in SegmentHeader::ports
  std::string name;
  std::string interface;  // the kernel's name; "" if DPDK owns the port (until it has a TAP: punt.h)
  uint32_t ifindex = 0;
  MacAddress mac;  // when the port was opened; CurrentMacs follows later changes
  uint8_t side = 0;
  std::string driver;                // DPDK's name of it
  bool spreads = true;               // received packets are spread over the queues, or there is one queue
  bool steered = false;              // AF_XDP with the steering program
  bool kernel_has_own_copy = false;  // AF_PACKET: punted packets are freed
  std::vector<PortQueue> queues;
  std::shared_ptr<Tap> tap;  // of a port that DPDK owns, once Punt::create() has made it
};

// Opens a port for `workers` and starts it: attaches the steering program (AF_XDP), opens the ethdevs and
// sets up their queues. `id` is the port's row in the segment.
tl::expected<Port, std::string> open_port(const PortOptions& options, uint16_t id, uint32_t workers,
                                          rte_mempool* pool, const std::string& pin_dir);

// Returns the port's MAC address as it is now; nothing if neither the kernel nor DPDK says.
std::optional<MacAddress> present_mac(const Port& port);

// The address for the steering program's map.
steer_mac steer_mac_of(const MacAddress& mac);

// Starts an ethdev, of a port or a TAP, with `queues` queue pairs whose mbufs come from `pool`. Returns
// whether the device spreads received packets over the queues.
tl::expected<bool, std::string> start_ethdev(uint16_t ethdev, uint16_t queues, rte_mempool* pool);

// Gives each port of the options a row in the segment, and returns the rows. A name that the segment knows
// keeps its row. The rows of all other ports are marked as not present.
tl::expected<std::vector<uint16_t>, std::string> assign_port_rows(Segment& segment,
                                                                  std::span<const PortOptions> ports);
void fill_port_row(PortRow& row, const Port& port);

// Returns what an operator needs to know about an open port, for the log.
std::string description_of(const Port& port);

// Returns the traits of each ethdev's port, indexed by ethdev id, for the stages. Their MAC addresses are not
// set yet.
std::vector<PortTraits> traits_by_ethdev(std::span<const Port> ports);

}  // namespace teal
