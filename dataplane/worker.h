// SPDX-License-Identifier: Apache-2.0
//
// One poll-mode worker: a loop on an lcore of its own. Each iteration polls the worker's queues, treats the
// packets that other workers handed over, and sweeps some buckets of its flows. Worker::forward() in
// worker.cc is the map of a packet's way.
#pragma once

#include <array>
#include <atomic>
#include <span>
#include <vector>

#include "dataplane/current_macs.h"
#include "dataplane/handover.h"
#include "dataplane/idle.h"
#include "dataplane/pipeline/ask.h"
#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/probe.h"
#include "dataplane/pipeline/punt_limits.h"
#include "dataplane/pipeline/reset.h"
#include "dataplane/pipeline/signals.h"
#include "dataplane/pipeline/sweep.h"
#include "dataplane/pipeline/track.h"
#include "dataplane/pipeline/translate.h"
#include "dataplane/pipeline/worker_flows.h"
#include "dataplane/port.h"
#include "dataplane/punt.h"
#include "dataplane/shm/segment.h"
#include "dataplane/stage_timers.h"
#include "dataplane/worker_clock.h"

struct rte_mempool;

namespace teal {

// The workers of a process share this.
struct WorkerContext {
  Segment& segment;
  std::span<const Port> ports;
  const CurrentMacs& macs;
  Handover& handover;
  const Punt& punt;
  rte_mempool* pool;  // of the ports' mbufs; for frames that Teal makes
  Idle idle = Idle::kAdaptive;
  std::atomic<bool> stop = false;
};

class Worker {
 public:
  Worker(WorkerContext& shared, uint32_t index);

  // Reads the time and iterates, until shared.stop.
  void run();

  // Polls all queues and the handover ring once, and sweeps. `now` never goes back. Returns how many packets
  // the worker received or made.
  uint32_t iterate(const Time& now);

 private:
  struct Transmit {
    PortQueue queue;
    uint32_t count = 0;
    std::array<rte_mbuf*, Burst::kCapacity> mbufs;
  };

  Rules load_rules();
  void copy_macs();
  void receive(PortQueue queue);
  void forward(const Rules& rules, uint64_t now_tick);
  void dispatch();
  void transmit(Transmit& out);
  void punt_packets();
  void send_punts(uint16_t port, std::span<rte_mbuf*> mbufs);
  uint32_t relay();
  uint32_t ask(const Time& now);
  uint32_t sweep(const Time& now);
  uint32_t send_probes();
  void sleep(uint32_t microseconds);

  WorkerContext& shared_;
  const uint32_t index_;
  WorkerBlock& block_;
  PublicationReader publication_;
  Burst burst_;
  WorkerFlows flows_;
  uint64_t adopted_generation_ = ~uint64_t{0};  // not a generation, so the first burst adopts
  LastHops last_hops_;
  Signals signals_;
  Probes probes_;
  Asks asks_;
  Tracker tracker_;
  Resetter resetter_;
  Sweeper sweeper_;
  PuntLimits punt_limits_;
  uint64_t now_tsc_ = 0;  // of this iteration
  IdleGovernor idle_;
  StageTimers timers_;
  std::vector<PortTraits> traits_;  // by ethdev
  PortMacs macs_;
  uint32_t mac_changes_ = 0;  // CurrentMacs::changes() at the latest copy_macs()
  std::vector<uint16_t> port_ids_;
  std::vector<PortQueue> receive_queues_;
  std::array<Transmit, kMaxPorts> transmits_;  // by port id
};

}  // namespace teal
