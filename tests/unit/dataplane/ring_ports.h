// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "tests/unit/dataplane/worker_fixture.h"

struct rte_mbuf;
struct rte_mempool;
struct rte_ring;

namespace teal::test {

// Makes an EAL without huge pages, PCI or files, one pool of mbufs, and ethdevs of rings. All are
// started once per process, because an EAL cannot be started twice. A test finds the rings empty and leaves
// them empty.
class RingPorts {
 public:
  static constexpr uint16_t kQueues = 4;
  static constexpr uint32_t kRingEntries = 1024;  // one less fits
  static constexpr uint32_t kMbufs = 8191;

  static RingPorts& get();

  uint16_t ethdev(uint16_t wire) const { return ports_[wire].ethdev; }
  rte_mempool* pool() const { return pool_; }
  bool spreads() const { return spreads_; }  // what start_ethdev() said
  // Plays the wire: a frame arrives on a queue.
  bool put(uint16_t wire, uint16_t queue, rte_mbuf* mbuf);
  // Returns the next frame that left by any queue, or null.
  rte_mbuf* take(uint16_t wire);
  uint32_t waiting(uint16_t wire, uint16_t queue) const;  // to be taken
  // Returns the next frame that was put and not yet received, or null.
  rte_mbuf* take_back(uint16_t wire, uint16_t queue);
  bool pool_is_whole() const;

 private:
  RingPorts();

  struct RingPort {
    uint16_t ethdev = 0;
    std::array<rte_ring*, kQueues> receive{}, transmit{};
  };
  rte_mempool* pool_ = nullptr;
  bool spreads_ = true;
  std::array<RingPort, kRings> ports_;
};

}  // namespace teal::test
