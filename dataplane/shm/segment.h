// SPDX-License-Identifier: Apache-2.0
//
// The shared segment: the only door between teal-dataplane and teald, and the memory that outlives both. A
// file on hugetlbfs where there are pages, else on tmpfs. Pointer-free, fixed in size at creation:
//
//   SegmentHeader | rte_rcu_qsbr | Ruleset x 4 | TrafficSplits x 64 | WorkerBlock x 32 | buckets
//
// teal-dataplane creates it (it knows the flow capacity) under RUN_DIR/dataplane.lock; teald only attaches.
// The header says for each field who writes it. `state` becomes kReady as the last act of a creation: a file
// without it is the rest of a killed creation.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <tl/expected.hpp>

#include "dataplane/shm/counters.h"
#include "dataplane/shm/flow_table.h"
#include "dataplane/shm/hop.h"
#include "dataplane/shm/publication.h"
#include "dataplane/shm/ruleset.h"
#include "dataplane/shm/segment_file.h"
#include "dataplane/shm/tsc_clock.h"

struct rte_rcu_qsbr;

namespace teal {

inline constexpr uint64_t kSegmentMagic = 0x5445414c5345474d;  // "TEALSEGM"
inline constexpr uint32_t kMaxLastHops = 16384;

// A port's row, named by its id. The id belongs to the name for the life of the segment, so that hops outlive
// a restart.
struct PortRow {
  char name[32];       // dataplane: rw; "" is a free row
  char interface[16];  // dataplane: rw; the kernel's name of it, "" for a port that the kernel does not know
  uint32_t ifindex;    // dataplane: rw; 0 for a port that the kernel does not know
  uint8_t mac[6];      // dataplane: rw
  uint8_t side;        // dataplane: rw; bit 0 client, bit 1 backend
  uint8_t present;     // dataplane: rw; the running dataplane has this port
};

struct SegmentHeader {
  uint64_t magic;               // creator
  uint64_t abi;                 // creator; segment_abi()
  uint64_t bytes;               // creator; of the whole file as used
  std::atomic<uint32_t> state;  // creator; kReady when all else is there
  uint32_t reserved;
  uint64_t flow_capacity;        // creator; flows that the table was asked to hold
  FlowTable::Geometry geometry;  // creator
  uint64_t hash_seed;            // creator
  uint64_t tsc_hz;               // dataplane at each start; measured, not rte_get_tsc_hz() (off by 0.2 %)
  uint64_t qsbr_offset, rulesets_offset, targets_offset, workers_offset,
      buckets_offset;  // creator; bytes

  alignas(64) std::atomic<uint64_t> word;             // control: rw, dataplane: ro; PublicationWord
  alignas(64) std::atomic<uint64_t> acknowledged;     // control: rw, dataplane: ro; generation
  alignas(64) std::atomic<uint64_t> dataplane_epoch;  // dataplane: rw, control: ro; +1 when a starting
                                                      // dataplane has its ports
  std::atomic<uint32_t> worker_count;                 // dataplane: rw, control: ro
  std::atomic<uint32_t> dataplane_pid;                // dataplane: rw, control: ro
  std::atomic<uint32_t> steering;  // dataplane: rw, control: ro; 1: AF_XDP ports, the pinned maps are used
  PortRow ports[kMaxPorts];        // dataplane: rw before it raises dataplane_epoch, control: ro

  alignas(64)
      std::atomic<uint64_t> next_hops[kMaxBackends];  // control: rw, dataplane: ro; Hop words by backend id
  std::atomic<uint8_t>
      on_link_prefix_bits[kMaxBackends];  // control: rw, dataplane: ro; 0: the backend is behind a gateway
  alignas(64) std::atomic<uint64_t> client_default_hops[2];  // control: rw, dataplane: ro; Hop words; 0:
                                                             // IPv4, 1: IPv6
  std::atomic<uint64_t>
      last_hops[kMaxLastHops];  // dataplane: rw by compare and swap; Hop words; an index stays with its hop
};

inline constexpr uint32_t kSegmentReady = 0x59444152;

// Changes with every size and offset that the two processes must agree on, and with DPDK's rte_rcu_qsbr.
uint64_t segment_abi();

class Segment {
 public:
  struct Options {
    std::string run_dir;
    uint64_t flow_capacity = 1'000'000;
    uint64_t hash_seed = 0;  // 0: random
    uint32_t partitions = 64;
    bool try_huge_pages = true;
  };
  struct Opened;  // below

  // teal-dataplane, under its lock: attaches to RUN_DIR/segment, or creates it where there is none. One that
  // is unfinished, of another ABI or capacity, or damaged is renamed to NAME.aside (an older one is
  // overwritten) and a new one is created; `notice` then says why. So is one whose seed is not the one asked
  // for. Forgets all readers of the former dataplane and makes its workers absent. The file is locked for the
  // life of the Segment: two run dirs of one name would share /dev/hugepages/NAME, and the second is refused.
  static tl::expected<Opened, std::string> open_or_create(const Options& options);

  // teald: refuses what is not a finished segment of this ABI. The error says which of magic, ABI, size or
  // state is wrong.
  static tl::expected<Segment, std::string> attach(const std::string& run_dir);

  SegmentHeader& header() const { return *static_cast<SegmentHeader*>(file_.base()); }
  rte_rcu_qsbr* qsbr() const;
  Ruleset& ruleset(uint32_t slot) const;
  TrafficSplits& splits(uint32_t slot) const;
  WorkerBlock& worker(uint32_t index) const;
  FlowTable flow_table() const;

  // Is RUN_DIR/segment still this file? (false after a dataplane set it aside and made another)
  bool is_current(const std::string& run_dir) const;

 private:
  Segment() = default;  // no segment; for Opened
  explicit Segment(SegmentFile file) : file_(std::move(file)) {}
  char* at(uint64_t offset) const { return static_cast<char*>(file_.base()) + offset; }

  SegmentFile file_;
};

struct Segment::Opened {
  Segment segment;
  bool created = false;
  std::string notice;  // why an existing segment was set aside; "" if none was
  std::string path;    // the file
  std::string
      no_huge_pages;  // why a created file is not on huge pages; "" where it is, or none were asked for
};

// Finds or claims the id of `hop` in header.last_hops: open addressing by its hash, at most 64 probes;
// nothing when full.
std::optional<uint16_t> last_hop_id(SegmentHeader& header, const Hop& hop);

}  // namespace teal
