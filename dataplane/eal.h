// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/config/options.h"

struct rte_mempool;

namespace teal {

// What the packets of all ports and workers take: an AF_XDP queue keeps 2,048 in its fill ring and as many in
// transmit.
struct MbufNeed {
  uint32_t mbufs;
  uint64_t bytes;
};
MbufNeed mbuf_need(uint32_t queues, uint32_t workers, uint32_t memory_mb);

// The arguments of rte_eal_init: an EAL without files or telemetry, so that several run side by side, with an
// lcore per worker besides the main one. Huge pages if `bytes` of them are free, else none (`notice` says
// so).
struct EalArguments {
  std::vector<std::string> arguments;
  std::string notice;
};
EalArguments eal_arguments(const DataplaneOptions& options, const std::string& instance, uint64_t bytes);

tl::expected<void, std::string> start_eal(const EalArguments& arguments);

// The mbufs of all ports and workers.
tl::expected<rte_mempool*, std::string> create_mbuf_pool(const MbufNeed& need);

}  // namespace teal
