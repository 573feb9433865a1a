// SPDX-License-Identifier: Apache-2.0
#include "dataplane/eal.h"

#include <sched.h>

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include "dataplane/handover.h"
#include "dataplane/pipeline/burst.h"

namespace teal {
namespace {

constexpr uint32_t kMbufsPerQueue = 4096;
constexpr uint32_t kMempoolCache = 256;
constexpr uint64_t kBytesPerMbuf = 64 + sizeof(rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE;
constexpr uint64_t kEalBytes = 48u << 20;  // rings, ethdevs, mempool headers

uint64_t free_huge_page_bytes() {
  uint64_t pages = 0;
  std::ifstream("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") >> pages;
  return pages << 21;
}

std::string allowed_cpus() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return fmt::format("{}", fmt::join(cpus, ","));
}

}  // namespace

MbufNeed mbuf_need(uint32_t queues, uint32_t workers, uint32_t memory_mb) {
  const uint32_t least = queues * kMbufsPerQueue +
                         workers * (Handover::kRingEntries + 4 * Burst::kCapacity + 2 * kMempoolCache) + 4096;
  const uint32_t mbufs = std::max(least, static_cast<uint32_t>((uint64_t{memory_mb} << 20) / kBytesPerMbuf));
  return {mbufs, mbufs * kBytesPerMbuf};
}

EalArguments eal_arguments(const DataplaneOptions& options, const std::string& instance, uint64_t bytes) {
  EalArguments result;
  result.arguments = {"teal-dataplane", "--no-telemetry", "--log-level=lib.*:warning"};
  auto& arguments = result.arguments;
  bool pci = false;
  for (const PortOptions& port : options.ports) {
    if (port.kind != DeviceKind::kPci) continue;
    pci = true;
    arguments.push_back("--allow=" + port.device);
  }
  if (!pci) arguments.push_back("--no-pci");
  if (options.iova == Iova::kPa)
    arguments.push_back("--iova-mode=pa");
  else if (options.iova == Iova::kVa || !pci)
    arguments.push_back("--iova-mode=va");
  if (free_huge_page_bytes() >= bytes + kEalBytes) {
    arguments.push_back("--in-memory");
    // net_vhost and virtio_user share their memory with the peer as files.
    if (std::any_of(options.ports.begin(), options.ports.end(),
                    [](const PortOptions& port) { return port.kind == DeviceKind::kVdev; }))
      arguments.push_back("--single-file-segments");
  } else {
    result.notice = fmt::format(
        "no huge pages for packets: {} MiB are needed, {} MiB are free; small pages are used, which is "
        "slower",
        (bytes + kEalBytes) >> 20, free_huge_page_bytes() >> 20);
    arguments.insert(arguments.end(), {"--no-huge", "-m", std::to_string((bytes + 2 * kEalBytes) >> 20),
                                       "--file-prefix", instance});
  }
  const std::string floating = allowed_cpus();
  std::string lcores = fmt::format("0@({})", floating);
  for (uint32_t worker = 0; worker < options.workers; ++worker)
    lcores += options.cpus.empty() ? fmt::format(",{}@({})", worker + 1, floating)
                                   : fmt::format(",{}@{}", worker + 1, options.cpus[worker]);
  arguments.insert(arguments.end(), {"--main-lcore", "0", "--lcores", lcores});
  return result;
}

tl::expected<void, std::string> start_eal(const EalArguments& arguments) {
  std::vector<char*> argv;
  static std::vector<std::string> kept;  // EAL keeps pointers
  kept = arguments.arguments;
  argv.reserve(kept.size());
  for (std::string& argument : kept) argv.push_back(argument.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
    return tl::unexpected(fmt::format("DPDK's EAL does not start: {}; arguments: {}", rte_strerror(rte_errno),
                                      fmt::join(kept, " ")));
  return {};
}

tl::expected<rte_mempool*, std::string> create_mbuf_pool(const MbufNeed& need) {
  rte_mempool* pool = rte_pktmbuf_pool_create("packets", need.mbufs, kMempoolCache, 0,
                                              RTE_MBUF_DEFAULT_BUF_SIZE, static_cast<int>(rte_socket_id()));
  if (pool == nullptr)
    return tl::unexpected(fmt::format("cannot create a pool of {} packets ({} MiB): {}", need.mbufs,
                                      need.bytes >> 20, rte_strerror(rte_errno)));
  return pool;
}

}  // namespace teal
