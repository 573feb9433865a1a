// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dataplane/ring_ports.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "dataplane/port.h"

namespace teal::test {
namespace {

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, rte_strerror(rte_errno));
  std::exit(1);
}

// All CPUs that this process may use. Without this argument EAL would pin the test to the first CPU.
std::string allowed_cpus() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof(set), &set);
  std::string cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus += (cpus.empty() ? "" : ",") + std::to_string(cpu);
  }
  return cpus;
}

void start_eal() {
  std::string lcores = "--lcores=0@(" + allowed_cpus() + ")";
  std::string prefix = "--file-prefix=teal-worker-test-" + std::to_string(getpid());
  std::array<std::string, 9> arguments = {
      "dataplane_test", "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "-m", "256",
      prefix,           lcores};
  static std::array<char*, 10> argv;  // EAL keeps pointers
  static std::array<std::string, 9> kept;
  kept = arguments;
  for (size_t i = 0; i < kept.size(); ++i) argv[i] = kept[i].data();
  if (rte_eal_init(static_cast<int>(kept.size()), argv.data()) < 0) give_up("rte_eal_init");
  std::error_code error;
  std::filesystem::remove_all(rte_eal_get_runtime_dir(), error);  // EAL makes the directory in any case
}

rte_ring* make_ring(uint16_t wire, uint16_t queue, const char* way) {
  const std::string name = std::string("wire_") + std::to_string(wire) + "_" + std::to_string(queue) + way;
  rte_ring* ring =
      rte_ring_create(name.c_str(), RingPorts::kRingEntries, static_cast<int>(rte_socket_id()), 0);
  if (ring == nullptr) give_up("rte_ring_create");
  return ring;
}

}  // namespace

RingPorts& RingPorts::get() {
  static RingPorts* ports = new RingPorts;  // lives as long as the EAL: to the end of the process
  return *ports;
}

RingPorts::RingPorts() {
  start_eal();
  pool_ = rte_pktmbuf_pool_create("packets", kMbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                  static_cast<int>(rte_socket_id()));
  if (pool_ == nullptr) give_up("rte_pktmbuf_pool_create");
  for (uint16_t wire = 0; wire < kRings; ++wire) {
    RingPort& port = ports_[wire];
    for (uint16_t queue = 0; queue < kQueues; ++queue) {
      port.receive[queue] = make_ring(wire, queue, "_in");
      port.transmit[queue] = make_ring(wire, queue, "_out");
    }
    const std::string name = "wire_" + std::to_string(wire);
    const int ethdev = rte_eth_from_rings(name.c_str(), port.receive.data(), kQueues, port.transmit.data(),
                                          kQueues, rte_socket_id());
    if (ethdev < 0) give_up("rte_eth_from_rings");
    port.ethdev = static_cast<uint16_t>(ethdev);
    const auto started = start_ethdev(port.ethdev, kQueues, pool_);
    if (!started) give_up(started.error().c_str());
    spreads_ = *started;
  }
}

bool RingPorts::put(uint16_t wire, uint16_t queue, rte_mbuf* mbuf) {
  return rte_ring_enqueue(ports_[wire].receive[queue], mbuf) == 0;
}

rte_mbuf* RingPorts::take(uint16_t wire) {
  for (rte_ring* ring : ports_[wire].transmit) {
    void* mbuf = nullptr;
    if (rte_ring_dequeue(ring, &mbuf) == 0) return static_cast<rte_mbuf*>(mbuf);
  }
  return nullptr;
}

uint32_t RingPorts::waiting(uint16_t wire, uint16_t queue) const {
  return rte_ring_count(ports_[wire].transmit[queue]);
}

rte_mbuf* RingPorts::take_back(uint16_t wire, uint16_t queue) {
  void* mbuf = nullptr;
  return rte_ring_dequeue(ports_[wire].receive[queue], &mbuf) == 0 ? static_cast<rte_mbuf*>(mbuf) : nullptr;
}

bool RingPorts::pool_is_whole() const {
  return rte_mempool_avail_count(pool_) == pool_->size;
}

}  // namespace teal::test
