// SPDX-License-Identifier: Apache-2.0
//
// The shared segment is the only door between teal-dataplane and teald, and memory that outlives both. It has
// two files (segment_file.h): "flows" has what an upgrade must keep (flows.h), and "segment" has the rest:
//
//   SegmentHeader | rte_rcu_qsbr | Ruleset x 4 | TrafficSplits x 64 | WorkerBlock x 32
//
// teal-dataplane, which knows the flow capacity, makes both under RUN_DIR/dataplane.lock. teald only attaches
// to them. They have no pointers, and their size is fixed when they are made.
//
// Invariants:
//   1. Each field has one writer, named beside it: "creator" (once, at creation), "dataplane", "control"
//      (teald) or "worker". last_hops, last_insert_failure_tick and failed_clients have several writers,
//      which compare and swap, or exchange.
//   2. A file gets its name once it is complete.
//   3. magic, abi, bytes, state and parts keep their offsets in every ABI. So any version can refuse another
//      version's segment, and take over the parts whose version it knows (segment_parts.h).
//   4. A file never grows, shrinks or changes its layout. One that cannot be used is replaced.
//
// Thread safety: each part has its own rules: publication.h (word, slots), flow_table.h (buckets), counters.h
// (worker blocks), hop.h (hops: one word each), last_hop.h, health.h (health: one word each).
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <tl/expected.hpp>

#include "dataplane/shm/counters.h"
#include "dataplane/shm/failed_clients.h"
#include "dataplane/shm/flow_table.h"
#include "dataplane/shm/flows.h"
#include "dataplane/shm/health.h"
#include "dataplane/shm/hop.h"
#include "dataplane/shm/port_row.h"
#include "dataplane/shm/publication.h"
#include "dataplane/shm/ruleset.h"
#include "dataplane/shm/segment_file.h"
#include "dataplane/shm/segment_parts.h"
#include "dataplane/shm/tsc_clock.h"

struct rte_rcu_qsbr;

namespace teal {

inline constexpr uint64_t kSegmentMagic = 0x5445414c5345474d;  // "TEALSEGM"
inline constexpr uint32_t kPublishedLog = 64;

struct SegmentHeader {
  uint64_t magic;                // creator
  uint64_t abi;                  // creator; segment_abi()
  uint64_t bytes;                // creator; the size of all parts; the file may be longer
  std::atomic<uint32_t> state;   // creator; kSegmentReady once the creation is complete
  uint32_t reserved;             // 0
  SegmentPart parts[kMaxParts];  // creator; by PartId
  uint64_t tsc_hz;               // dataplane at each start; measured, as rte_get_tsc_hz() is off by 0.2 %
  // creator; offsets in bytes from the start of the segment
  uint64_t qsbr_offset, rulesets_offset, splits_offset, workers_offset;

  // The part kPublication.
  alignas(64) std::atomic<uint64_t> word;          // control: rw, dataplane: ro; PublicationWord
  alignas(64) std::atomic<uint64_t> acknowledged;  // control: rw, dataplane: ro; generation
  // control: rw; the generations that were published before the present one, each at its number modulo the
  // size. Recovery asks it which of the changes under way were published (Publisher::was_published).
  alignas(64) std::atomic<uint64_t> published[kPublishedLog];
  alignas(64) std::atomic<uint64_t> dataplane_epoch;  // dataplane: rw, control: ro; raised by 1 when a
                                                      // starting dataplane has opened its ports
  // dataplane: rw, control: ro; the epoch whose start has counted all flows. It is 0 from the beginning of a
  // start until then. Until it equals dataplane_epoch, counts of flows may be wrong because of a kill.
  std::atomic<uint64_t> counted_epoch;
  std::atomic<uint64_t> counted_generation;  // dataplane: rw, before workers run; the rules of that count
  std::atomic<uint32_t> worker_count;        // dataplane: rw, control: ro
  std::atomic<uint32_t> most_workers;        // dataplane: rw, control: ro; that any dataplane on this
                                             // segment has had: totals sum all of their blocks
  std::atomic<uint32_t> dataplane_pid;       // dataplane: rw, control: ro
  std::atomic<uint32_t> steering;  // dataplane: rw, control: ro; 1: AF_XDP ports, the pinned maps are used
  PortRow ports[kMaxPorts];        // dataplane: rw before it raises dataplane_epoch, control: ro; port_row.h

  // The part kHops, up to client_default_hops.
  // control: rw, dataplane: ro; Hop words by backend id, with Hop::kDownBit while the backend is down.
  // BackendWords (control/kernel/backend_words.h) is the one writer of next_hops and held_back.
  alignas(64) std::atomic<uint64_t> next_hops[kMaxBackends];
  // control: rw, dataplane: ro; the prefix length of the backend's on-link subnet, 0 if it is behind a
  // gateway
  std::atomic<uint8_t> on_link_prefix_bits[kMaxBackends];
  // control: rw, dataplane: ro; by backend id; health.h
  alignas(64) std::atomic<uint8_t> held_back[kMaxBackends];
  // control: rw, dataplane: ro; by service id and colour; health.h
  std::atomic<PoolMode> pool_mode[kMaxServices][kColours];
  // control: rw, dataplane: ro; raised by 1 after a change of held_back or pool_mode. Each worker's sweep
  // then looks at all of its flows once.
  alignas(64) std::atomic<uint64_t> health_changes;
  // control: rw, dataplane: ro; Hop words; index 0 is IPv4, 1 is IPv6
  alignas(64) std::atomic<uint64_t> client_default_hops[2];
  // The part kFailedClients. workers: rw by exchange; by service id
  FailedClients failed_clients[kMaxServices];
};

inline constexpr uint32_t kSegmentReady = 0x59444152;

// Returns a hash of every size, offset and constant that the two processes must agree on, DPDK's rte_rcu_qsbr
// included.
uint64_t segment_abi();

class Segment {
 public:
  struct Options {
    std::string run_dir;
    uint64_t flow_capacity = 1'000'000;
    uint64_t hash_seed = 0;  // 0: random
    uint32_t partitions = 64;
    bool try_huge_pages = true;
    bool reserve = true;  // as of SegmentFile::create; tests start faster without
  };
  struct Opened;  // below

  // Opens both files, or makes them. teal-dataplane calls it under its lock.
  //   - The flows stay or move, as open_flows() says.
  //   - A segment of another ABI is replaced. Parts whose version is the same are kept: so the new dataplane
  //     goes on by the rules and targets that are in force. Without them it has rules for the existing flows
  //     alone (rules_of_known_ids), until teald publishes.
  //   - All readers of the former dataplane are unregistered, and its workers become absent.
  //   - The files stay locked for the life of the Segment. Two run directories of one name share
  //     /dev/hugepages/NAME, so the second dataplane is refused.
  static tl::expected<Opened, std::string> open_or_create(const Options& options);

  // Attaches to a finished segment of this ABI and its flows, for teald. The error says which of magic, ABI,
  // version, size or state is wrong.
  static tl::expected<Segment, std::string> attach(const std::string& run_dir);

  SegmentHeader& header() const { return *static_cast<SegmentHeader*>(file_.base()); }
  FlowsHeader& flows() const { return *static_cast<FlowsHeader*>(flows_.base()); }
  rte_rcu_qsbr* qsbr() const;
  Ruleset& ruleset(uint32_t slot) const;
  TrafficSplits& splits(uint32_t slot) const;
  WorkerBlock& worker(uint32_t index) const;
  FlowTable flow_table() const { return flow_table_of(flows_); }

  // Returns true if RUN_DIR still leads to these files. It does not after a dataplane has replaced one.
  bool is_current(const std::string& run_dir) const;

 private:
  Segment() = default;  // holds no file yet; for Opened
  Segment(SegmentFile file, SegmentFile flows) : file_(std::move(file)), flows_(std::move(flows)) {}
  char* at(uint64_t offset) const { return static_cast<char*>(file_.base()) + offset; }

  SegmentFile file_, flows_;
};

struct Segment::Opened {
  Segment segment;
  bool created = false;    // there are no flows: their file is new, and none were taken over
  std::string notice;      // what was replaced or set aside, and why; "" if nothing was
  std::string path;        // of the file "segment"
  std::string flows_path;  // of the file "flows"
  bool flows_on_tmpfs = false;
  std::string no_huge_pages;  // why a created file is not on huge pages; "" if it is, or none were wanted
};

}  // namespace teal
