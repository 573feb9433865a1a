// SPDX-License-Identifier: Apache-2.0
//
// The file "flows" of the segment: what an upgrade must keep. It has the flow table and all that the entries
// refer to: the hash seed, the geometry, the ports and last hops, and what the ids of backends mean. It also
// says when an entry last could not be made: since then there are flows without one (pipeline/stateless.h).
//
//   FlowsHeader | buckets
//
// Invariants:
//   1. kFlowsVersion changes only when the meaning of one of these changes, and then a start takes over the
//      flows of the version before. A test holds the layout to its version (flows_layout()).
//   2. Each field has one writer, named beside it, as in segment.h.
//   3. A file gets its name once it is complete. A start that moves the flows to another file keeps the old
//      one until then.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/shm/flow_table.h"
#include "dataplane/shm/known_ids.h"
#include "dataplane/shm/last_hop.h"
#include "dataplane/shm/port_row.h"
#include "dataplane/shm/segment_file.h"
#include "dataplane/shm/segment_place.h"

namespace teal {

inline constexpr uint64_t kFlowsMagic = 0x5445414c464c4f57;  // "TEALFLOW"
inline constexpr uint64_t kFlowsVersion = 1;
inline constexpr const char* kFlowsName = "flows";  // of the file (segment_file.h)

struct FlowsHeader {
  uint64_t magic;    // creator
  uint64_t version;  // creator; kFlowsVersion
  uint64_t bytes;    // creator; the file may be longer
  uint64_t buckets_offset;
  uint64_t flow_capacity;        // creator; the configured number of flows
  FlowTable::Geometry geometry;  // creator
  uint64_t hash_seed;            // creator
  // dataplane: rw; by port id. "" marks a free row. A name keeps its id, so stored hops stay valid.
  char port_names[kMaxPorts][sizeof(PortRow::name)];
  KnownIds ids;  // control: rw
  std::atomic<uint64_t>
      generation;  // control: rw; the latest that was published, as births of flows count in it
  // workers: rw by compare and swap, control: rw. Hop words, by id (last_hop.h)
  std::atomic<uint64_t> last_hops[kMaxLastHops];
  LastHopOrigin last_hop_origins[kMaxLastHops];  // by id
  // workers: rw by compare and swap, only upwards; the latest of all workers. 0 = never
  std::atomic<uint64_t> last_insert_failure_tick;
};

// Returns a hash of every size, offset, constant and hash function that the meaning of a file depends on.
uint64_t flows_layout();

// Returns why the file does not have flows of this version, or "" if it has.
std::string flows_defect(const SegmentFile& file);

FlowTable flow_table_of(const SegmentFile& file);

struct FlowsOptions {
  uint64_t capacity = 1'000'000;
  uint64_t hash_seed = 0;  // 0: the present one, else a random one
  uint32_t partitions = 64;
};

// Finds the flows, or makes a file for them.
//   - Where the capacity, the seed or the geometry differs, all flows move to a new file. Flows that do not
//     fit are lost, and `notice` says how many.
//   - Without a file, the flows of an older release are taken over from its segment (old_release.h).
//   - A file that is damaged or of an unknown version is set aside.
tl::expected<PlacedFile, std::string> open_flows(const Place& place, const FlowsOptions& options);

}  // namespace teal
