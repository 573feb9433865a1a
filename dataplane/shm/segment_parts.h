// SPDX-License-Identifier: Apache-2.0
//
// The parts of the file "segment", each with a version of its own: a hash of its layout. A dataplane of
// another release makes a new file and takes over the parts whose version is the same, so a release that adds
// a counter keeps the rules in force.
#pragma once

#include <cstdint>

namespace teal {

struct SegmentHeader;

// The numbers never change. A release adds one at the end, or no longer uses one.
enum class PartId : uint8_t {
  kPublication,    // word, acknowledged, published
  kHops,           // next hops and health
  kRulesets,       // the slots of the rules
  kTargets,        // the slots of the traffic splits
  kCounters,       // the workers' blocks
  kFailedClients,  // of the trials
  kCount
};
inline constexpr uint32_t kMaxParts = 16;  // room for later releases: `parts` keeps its size

struct SegmentPart {
  uint64_t version;  // 0: the file has no such part
  uint64_t offset;   // in bytes, from the start of the file
  uint64_t bytes;
};

// Returns the version of a part in this release.
uint64_t part_version(PartId id);

// Returns a hash of every size, offset and constant that the two processes must agree on, DPDK's rte_rcu_qsbr
// and the flows included.
uint64_t segment_abi();

// Copies each part of `from` whose version and size `to` has, too. Returns whether the rules in force were
// copied. Publication, rulesets and targets refer to each other, so all three are
// copied or none. `from` is a mapped file of `bytes` bytes, of any ABI that has parts.
bool take_over_parts(const SegmentHeader& from, uint64_t bytes, SegmentHeader& to);

}  // namespace teal
