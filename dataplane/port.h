// SPDX-License-Identifier: Apache-2.0
//
// Ports: what packets come in and go out by. A port is one interface or NIC with one or more queues; the
// driver decides whether that is one ethdev with many queues (PCI, vdev) or one ethdev per queue (AF_XDP: a
// veth or NIC whose queues the kernel keeps).
//
//   queue q is polled by worker q % workers; worker w transmits on queue w, so a port needs at least as many
//   queues as there are workers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/config/options.h"
#include "dataplane/pipeline/burst.h"
#include "dataplane/shm/segment.h"

struct rte_mempool;

namespace teal {

struct PortQueue {
  uint16_t ethdev = 0;
  uint16_t queue = 0;
};

struct Port {
  uint16_t id = 0;  // row in SegmentHeader::ports
  std::string name;
  std::string interface;  // the kernel's name; "" for a port that the kernel does not know
  uint32_t ifindex = 0;
  MacAddress mac;
  uint8_t side = 0;
  bool steered = false;              // AF_XDP with the steering program
  bool kernel_has_own_copy = false;  // AF_PACKET: the kernel sees each packet anyway, a punt is a free
  std::vector<PortQueue> queues;
};

// How many queues of the kernel's interface receive. The error names the interface.
tl::expected<uint32_t, std::string> receive_queues(const std::string& interface);

// Opens a port for `workers`: steering program (AF_XDP), ethdevs, queues, started. `id` is its row in the
// segment.
tl::expected<Port, std::string> open_port(const PortOptions& options, uint16_t id, uint32_t workers,
                                          rte_mempool* pool, const std::string& pin_dir);

// Starts ethdev `ethdev` with `queues` queue pairs on `pool`; used for vdev ports and the TAP as well.
tl::expected<void, std::string> start_ethdev(uint16_t ethdev, uint16_t queues, rte_mempool* pool);

// Gives each of the options' ports its row in the segment (a known name keeps its row); the rows of absent
// ports are marked so.
tl::expected<std::vector<uint16_t>, std::string> assign_port_rows(SegmentHeader& header,
                                                                  std::span<const PortOptions> ports);
void fill_port_row(PortRow& row, const Port& port);

// By ethdev id, for the stages.
std::vector<PortTraits> traits_by_ethdev(std::span<const Port> ports);

}  // namespace teal
