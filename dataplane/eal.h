// SPDX-License-Identifier: Apache-2.0
//
// The start of DPDK's EAL and the pool of mbufs. Teal's EAL has no files and no telemetry, so several
// dataplanes run side by side. lcore 0 is the main thread, which polls nothing; worker n runs on lcore n + 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/config/options.h"

struct rte_mempool;

namespace teal {

// The mbufs that all ports and workers need together. An AF_XDP queue keeps 2,048 in its fill ring and as
// many in transmission.
struct MbufNeed {
  uint32_t mbufs;
  uint64_t bytes;
};
MbufNeed mbuf_need(uint32_t queues, uint32_t workers, uint32_t memory_mb);

// The arguments of rte_eal_init(). The EAL uses huge pages if `bytes` of huge pages are free, else small
// pages; `notice` then says so.
struct EalArguments {
  std::vector<std::string> arguments;
  std::string notice;
};
// EAL sees the PCI devices of the ports from its start, and chooses by them between virtual and physical
// addresses. Without such a device it uses virtual addresses.
EalArguments eal_arguments(const DataplaneOptions& options, const std::string& instance, uint64_t bytes);

tl::expected<void, std::string> start_eal(const EalArguments& arguments);

// Creates the pool of mbufs for all ports and workers.
tl::expected<rte_mempool*, std::string> create_mbuf_pool(const MbufNeed& need);

}  // namespace teal
