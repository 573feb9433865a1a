// SPDX-License-Identifier: Apache-2.0
//
// The shared segment is the only door between teal-dataplane and teald, and memory that outlives both. It is
// a file on hugetlbfs if enough huge pages are free, else on tmpfs (segment_file.h). It has no pointers, and
// its size is fixed at creation:
//
//   SegmentHeader | rte_rcu_qsbr | Ruleset x 4 | TrafficSplits x 64 | WorkerBlock x 32 | buckets
//
// teal-dataplane, which knows the flow capacity, creates the segment under RUN_DIR/dataplane.lock. teald only
// attaches to it.
//
// Invariants:
//   1. Each field has one writer, named beside it: "creator" (once, at creation), "dataplane", "control"
//      (teald) or "worker". last_hops and failed_clients have several writers, which compare and swap, or
//      exchange.
//   2. A creation stores `state` = kSegmentReady last (release). A reader checks it first (acquire). A file
//      without it comes from a creation that was killed, and no process uses it.
//   3. magic, abi, bytes and state keep their offsets in every ABI, so any version can refuse any other one.
//   4. A file never grows, shrinks or changes its layout. A segment that cannot be used is set aside and
//      replaced.
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
#include "dataplane/shm/health.h"
#include "dataplane/shm/hop.h"
#include "dataplane/shm/last_hop.h"
#include "dataplane/shm/port_row.h"
#include "dataplane/shm/publication.h"
#include "dataplane/shm/ruleset.h"
#include "dataplane/shm/segment_file.h"
#include "dataplane/shm/tsc_clock.h"

struct rte_rcu_qsbr;

namespace teal {

inline constexpr uint64_t kSegmentMagic = 0x5445414c5345474d;  // "TEALSEGM"
inline constexpr uint32_t kPublishedLog = 64;

struct SegmentHeader {
  uint64_t magic;               // creator
  uint64_t abi;                 // creator; segment_abi()
  uint64_t bytes;               // creator; the size of all parts; the file may be longer
  std::atomic<uint32_t> state;  // creator; kSegmentReady once the creation is complete
  uint32_t reserved;
  uint64_t flow_capacity;        // creator; the configured number of flows
  FlowTable::Geometry geometry;  // creator
  uint64_t hash_seed;            // creator
  uint64_t tsc_hz;               // dataplane at each start; measured, as rte_get_tsc_hz() is off by 0.2 %
  // creator; offsets in bytes from the start of the segment
  uint64_t qsbr_offset, rulesets_offset, splits_offset, workers_offset, buckets_offset;

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
  std::atomic<uint32_t> worker_count;   // dataplane: rw, control: ro
  std::atomic<uint32_t> most_workers;   // dataplane: rw, control: ro; that any dataplane on this
                                        // segment has had: totals sum all of their blocks
  std::atomic<uint32_t> dataplane_pid;  // dataplane: rw, control: ro
  std::atomic<uint32_t> steering;  // dataplane: rw, control: ro; 1: AF_XDP ports, the pinned maps are used
  PortRow ports[kMaxPorts];        // dataplane: rw before it raises dataplane_epoch, control: ro; port_row.h

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
  // workers: rw by compare and swap, control: rw; Hop words, by id; last_hop.h
  std::atomic<uint64_t> last_hops[kMaxLastHops];
  LastHopOrigin last_hop_origins[kMaxLastHops];  // by id
  FailedClients failed_clients[kMaxServices];    // workers: rw by exchange; by service id
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

  // Attaches to RUN_DIR/segment, or creates it if there is none. teal-dataplane calls it under its lock.
  //   - A segment that is unfinished or damaged, or that has another ABI, capacity or (configured) seed, is
  //     set aside: renamed to FILE.aside, over an older one. `notice` says why, and a new segment is created.
  //   - All readers of the former dataplane are unregistered, and its workers become absent.
  //   - The file stays locked for the life of the Segment. Two run directories of one name share
  //     /dev/hugepages/NAME, so the second dataplane is refused.
  static tl::expected<Opened, std::string> open_or_create(const Options& options);

  // Attaches to a finished segment of this ABI, for teald. The error says which of magic, ABI, size or state
  // is wrong.
  static tl::expected<Segment, std::string> attach(const std::string& run_dir);

  SegmentHeader& header() const { return *static_cast<SegmentHeader*>(file_.base()); }
  rte_rcu_qsbr* qsbr() const;
  Ruleset& ruleset(uint32_t slot) const;
  TrafficSplits& splits(uint32_t slot) const;
  WorkerBlock& worker(uint32_t index) const;
  FlowTable flow_table() const;

  // Returns true if RUN_DIR/segment is still this file. It is not after a dataplane has set it aside.
  bool is_current(const std::string& run_dir) const;

 private:
  Segment() = default;  // holds no file yet; for Opened
  explicit Segment(SegmentFile file) : file_(std::move(file)) {}
  char* at(uint64_t offset) const { return static_cast<char*>(file_.base()) + offset; }

  SegmentFile file_;
};

struct Segment::Opened {
  Segment segment;
  bool created = false;
  std::string notice;         // why an existing segment was set aside; "" if none was
  std::string path;           // of the file
  std::string no_huge_pages;  // why a created file is not on huge pages; "" if it is, or none were wanted
};

}  // namespace teal
