// SPDX-License-Identifier: Apache-2.0
//
// The flow table holds every flow of all workers, in shared memory that outlives the workers.
//
//   partition  a run of buckets. Each worker owns a run of partitions and is their only writer. Both buckets
//              of a flow are in one partition.
//   bucket     24 slots: one cache line of tags (16 bits of the hash, 0 = empty), followed by the entries,
//              mostly in the same page.
//   entry      32 bytes: client address 16, client port 2, backend id 2, birth generation 4, and one mutable
//              word of 8.
//
// A new flow goes into its first bucket. If that is two thirds full, the flow goes into the emptier one of
// its two buckets. A bucket counts the flows that are displaced from it, so a lookup reads the second bucket
// only if the count is not 0. With 24 slots and two choices, a large table fills to 88 % before an insert
// finds both buckets full. A table for 1,000 flows fills to 68 %, as chance weighs more there. for_capacity()
// adds slots accordingly. Measured: 39.8 bytes per flow of capacity for 1,000,000 flows, 42.6 for 100,000, 53
// for 10,000.
//
// Worked example: capacity 1,000,000 gives 64 partitions of 747 buckets: 47,808 x (64 + 24 x 32) = 39.8 MB.
//
// Invariants. They hold after a kill at any instruction:
//   1. insert() raises the bucket's `inserts`, then writes the entry, then stores the tag (all release).
//      remove() clears the tag, before a later insert() can write the entry again.
//   2. Entries never move. To move a flow to another backend, the owner removes it and inserts it again.
//   3. `displaced` is at least the number of live entries whose first bucket this is and that live in another
//      bucket. It is raised before the tag is stored and lowered after the tag is cleared. A start recomputes
//      it.
//
// Thread safety:
//   - Only the owner of a partition calls find, insert, remove, set_state and the other functions for it.
//   - Any thread may call read() at any time. read() is the reader of a sequence lock whose number is
//     `inserts`: it loads the number, the tag, the words (acquire) and the number again. The words of a later
//     flow in the same slot are stored (release) after the number was raised. So the second load of the
//     number shows the change, even if the later flow has the same tag. On x86-64 all these accesses are
//     plain moves. The code uses no fence, as ThreadSanitizer does not support fences.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <emmintrin.h>

#include "dataplane/packet/flow_key.h"
#include "dataplane/shm/flow_state.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

using FlowIndex = uint64_t;  // only FlowTable::index_of() makes one: not every number is an index
inline constexpr FlowIndex kNoFlow = ~uint64_t{0};

// Prefetches a cache line. Inline assembly, because GCC 12 regards a function that only calls
// __builtin_prefetch as free of effects and drops its calls.
[[gnu::always_inline]] inline void prefetch(const void* line) {
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(line)));
}

class FlowTable {
 public:
  static constexpr uint32_t kSlots = 24;

  struct Entry {
    std::atomic<uint64_t> words[4];  // owner: rw, others: ro
  };
  static_assert(sizeof(Entry) == 32);

  struct alignas(64) Bucket {
    std::atomic<uint16_t> tags[kSlots];  // owner: rw, others: ro
    std::atomic<uint16_t> displaced;     // owner: rw
    uint16_t reserved;
    std::atomic<uint32_t> inserts;  // owner: rw, others: ro; modulo 2^32
    std::atomic<uint32_t> due;      // owner: rw; see due()
    std::atomic<uint32_t> young;    // owner: rw; see young()
    Entry entries[kSlots];
  };
  static_assert(sizeof(Bucket) == 64 + kSlots * sizeof(Entry) && offsetof(Bucket, entries) == 64);

  // An index is the offset of the flow's entry from the start of the table, in cells of the size of an entry.
  // A bucket has 26 cells; its tags take the first two. One shift leads from an index to its entry.
  static constexpr uint32_t kTagCells = offsetof(Bucket, entries) / sizeof(Entry);
  static constexpr uint32_t kCells = sizeof(Bucket) / sizeof(Entry);
  static constexpr FlowIndex index_of(uint64_t bucket, uint32_t slot) {
    return bucket * kCells + kTagCells + slot;
  }
  static constexpr uint64_t bucket_of(FlowIndex index) { return index / kCells; }
  static constexpr uint32_t slot_of(FlowIndex index) { return index % kCells - kTagCells; }

  struct Geometry {
    uint32_t partitions = 0;
    uint32_t buckets_per_partition = 0;

    static Geometry for_capacity(uint64_t flows, uint32_t partitions = 64);
    uint64_t buckets() const { return uint64_t{partitions} * buckets_per_partition; }
    uint64_t bytes() const { return buckets() * sizeof(Bucket); }
  };

  // Where a flow may live: its first bucket, and its hash, from which follow the tag and the second bucket.
  struct Location {
    uint64_t first;  // bucket
    uint64_t hash;

    uint16_t tag() const {
      const auto low = static_cast<uint16_t>(hash);
      return static_cast<uint16_t>(low + (low == 0));  // tag 0 marks an empty slot
    }
  };

  // A view of memory that belongs to the segment. The memory is zeroed or holds a table of the same geometry.
  FlowTable(Geometry geometry, Bucket* buckets, uint64_t hash_seed)
      : geometry_(geometry),
        bucket_count_(static_cast<uint32_t>(geometry.buckets())),
        buckets_(buckets),
        hash_seed_(hash_seed),
        secret_(hash_seed) {}

  const Geometry& geometry() const { return geometry_; }
  uint64_t hash_seed() const { return hash_seed_; }
  const HashSecret& secret() const { return secret_; }

  // The partition of a flow's buckets. It comes from the same bits of the hash as the first bucket.
  uint32_t partition_of(uint64_t flow_hash) const { return scale(flow_hash, geometry_.partitions); }
  uint32_t owner_of(uint64_t flow_hash, uint32_t workers) const {
    return partition_of(flow_hash) * workers / geometry_.partitions;
  }
  // The partitions that `worker` of `workers` owns: [first_partition(w), first_partition(w + 1)).
  uint32_t first_partition(uint32_t worker, uint32_t workers) const {
    return (worker * geometry_.partitions + workers - 1) / workers;
  }
  // The buckets that `worker` owns: [first_bucket(w), first_bucket(w + 1)).
  uint64_t first_bucket(uint32_t worker, uint32_t workers) const {
    return uint64_t{first_partition(worker, workers)} * geometry_.buckets_per_partition;
  }

  Location locate(uint64_t flow_hash) const { return {scale(flow_hash, bucket_count_), flow_hash}; }
  Location locate(const FlowKey& key) const { return locate(flow_hash(key, secret_)); }
  uint64_t second(const Location& location) const;  // bucket; equals `first` where a partition has only one
  void prefetch_tags(uint64_t bucket) const { prefetch(&buckets_[bucket]); }
  // With prefetch_tags(), prefetches all that for_each_in_bucket() reads.
  void prefetch_entries(uint64_t bucket) const {
    for (uint32_t slot = 0; slot < kSlots; slot += 64 / sizeof(Entry))
      prefetch(&buckets_[bucket].entries[slot]);
  }
  // Prefetches the entries of young(). The bucket's tags are at hand.
  void prefetch_young(uint64_t bucket) const {
    for (uint32_t slots = young(bucket); slots != 0; slots &= slots - 1)
      prefetch(&buckets_[bucket].entries[std::countr_zero(slots)]);
  }

  // A lookup in steps, so that the cache misses of a burst overlap. The caller leaves some time between
  // steps:
  //   1. prefetch_tags()
  //   2. first_candidate() returns the first slot of the first bucket whose tag matches, and prefetches its
  //      entry. If no tag matches, the function returns kNoFlow and prefetches the tags of the second bucket
  //      if the flow may be there, else the entry that insert() would write.
  //   3. second_candidate(), only after step 2 returned kNoFlow: the same for the second bucket.
  //   4. find_by() compares the candidate's entry with the key, and falls back to find().
  // A candidate stays valid while flows are inserted. When its slot is emptied, the caller must use kNoFlow.
  FlowIndex first_candidate(const Location& location) const;
  FlowIndex second_candidate(const Location& location) const;
  template <typename ServiceOf>
  FlowIndex find_by(FlowIndex candidate, const Location& location, const FlowKey& key,
                    const ServiceOf& service_of) const {
    if (candidate != kNoFlow && is(candidate, key, service_of)) [[likely]]
      return candidate;
    return find(location, key, service_of);
  }

  // Returns true if the flow in this slot has the client address and port of `key`. Its service may differ.
  // The slot is not empty.
  bool holds(FlowIndex index, const FlowKey& key) const;
  // Returns true if the flow in this slot is the flow of `key`. The slot is not empty.
  template <typename ServiceOf>
  bool is(FlowIndex index, const FlowKey& key, const ServiceOf& service_of) const {
    return holds(index, key) && service_of[backend(index)] == key.service;
  }

  // Returns the flow of `key`, or kNoFlow. `service_of[backend id]` is the id of the backend's service.
  template <typename ServiceOf>
  FlowIndex find(const Location& location, const FlowKey& key, const ServiceOf& service_of) const;

  // Inserts a flow and returns its index. Returns kNoFlow and changes nothing if both buckets are full. `key`
  // must not be in the table. insert() sets or clears kFlowDisplaced in the flags.
  FlowIndex insert(const Location& location, const FlowKey& key, uint16_t backend, uint32_t birth_generation,
                   FlowState state);

  // Removes a flow. `location` is the location of its key.
  void remove(FlowIndex index, const Location& location);

  FlowState state(FlowIndex index) const {
    return std::bit_cast<FlowState>(entry(index).words[3].load(std::memory_order_relaxed));
  }
  // Stores the state. Callers modify the result of state(), so kFlowDisplaced stays right.
  void set_state(FlowIndex index, FlowState state) {
    // Release: pairs with the acquire load in read(). A reader that sees this word also sees the `inserts` of
    // the insert before it.
    entry(index).words[3].store(std::bit_cast<uint64_t>(state), std::memory_order_release);
  }
  uint16_t backend(FlowIndex index) const {
    return static_cast<uint16_t>(entry(index).words[2].load(std::memory_order_relaxed) >> 16);
  }
  uint32_t birth_generation(FlowIndex index) const {
    return static_cast<uint32_t>(entry(index).words[2].load(std::memory_order_relaxed) >> 32);
  }

  // The tick at which the sweep must look into a bucket again. The tick lies beside the tags, so the sweep
  // does not touch the entries of buckets that are not due. It is 0 in zeroed memory.
  uint32_t due(uint64_t bucket) const { return buckets_[bucket].due.load(std::memory_order_relaxed); }
  void set_due(uint64_t bucket, uint32_t tick) {
    buckets_[bucket].due.store(tick, std::memory_order_relaxed);
  }
  // Bit i: the sweep has not yet noted the outcome of the flow in slot i (pipeline/signals.h). insert() sets
  // the bit, and the sweep clears it. The bits lie beside the tags, so the sweep reads no entries of other
  // flows.
  uint32_t young(uint64_t bucket) const { return buckets_[bucket].young.load(std::memory_order_relaxed); }
  void set_young(uint64_t bucket, uint32_t slots) {
    buckets_[bucket].young.store(slots, std::memory_order_relaxed);
  }
  // Makes the bucket of this entry due at `tick` at the latest.
  void bring_forward(FlowIndex index, uint32_t tick) {
    if (is_before(tick, due(bucket_of(index)))) set_due(bucket_of(index), tick);
  }

  // Returns the flow in this slot, or nothing if the slot is empty. Any thread may call it. Threads other
  // than the owner also get nothing after eight attempts that an insert into the bucket disturbed.
  std::optional<Flow> read(FlowIndex index) const;

  // Calls visit(FlowIndex, const Flow&) for each flow in the bucket. The visitor may remove that flow.
  template <typename Visit>
  void for_each_in_bucket(uint64_t bucket, Visit&& visit) const {
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      const FlowIndex index = index_of(bucket, slot);
      if (const std::optional<Flow> flow = read(index)) visit(index, *flow);
    }
  }

  // Recomputes `displaced` of every bucket. One thread calls it at start, before any worker runs.
  // `service_of` as for find().
  template <typename ServiceOf>
  void recount_displaced(const ServiceOf& service_of);

 private:
  Entry& entry(FlowIndex index) const {
    return *reinterpret_cast<Entry*>(reinterpret_cast<char*>(buckets_) + index * sizeof(Entry));
  }
  template <typename ServiceOf>
  FlowIndex search(const Location& location, const FlowKey& key, const ServiceOf& service_of) const;
  uint32_t tag_matches(uint64_t bucket, uint16_t tag) const;    // bit i: the tag of slot i equals `tag`
  FlowIndex first_of(uint64_t bucket, uint32_t matches) const;  // `matches` is not 0

  Geometry geometry_;
  uint32_t bucket_count_;
  Bucket* buckets_;
  uint64_t hash_seed_;
  HashSecret secret_;
};

inline uint64_t FlowTable::second(const Location& location) const {
  const uint32_t count = geometry_.buckets_per_partition;
  const uint64_t end = (uint64_t{partition_of(location.hash)} + 1) * count;
  // The second bucket is 1 to count - 1 buckets after the first. The distance comes from bits that determine
  // neither `first` nor the tag.
  const uint64_t bucket =
      location.first + (count > 1 ? 1 + (((location.hash >> 16 & 0xffff) * (count - 1)) >> 16) : 0);
  return bucket >= end ? bucket - count : bucket;
}

// Three 16-byte loads read the tags. The three loads together are not atomic, but each 16-bit tag is: on
// x86-64, aligned loads do not tear within it. Only the owner, the single writer, calls this; other threads
// use read().
inline uint32_t FlowTable::tag_matches(uint64_t bucket, uint16_t tag) const {
  const auto* tags = reinterpret_cast<const __m128i*>(buckets_[bucket].tags);
  const __m128i wanted = _mm_set1_epi16(static_cast<int16_t>(tag));
  const __m128i low = _mm_packs_epi16(_mm_cmpeq_epi16(_mm_load_si128(tags), wanted),
                                      _mm_cmpeq_epi16(_mm_load_si128(tags + 1), wanted));
  const __m128i high =
      _mm_packs_epi16(_mm_cmpeq_epi16(_mm_load_si128(tags + 2), wanted), _mm_setzero_si128());
  return static_cast<uint32_t>(_mm_movemask_epi8(low)) |
         (static_cast<uint32_t>(_mm_movemask_epi8(high)) << 16);
}

inline bool FlowTable::holds(FlowIndex index, const FlowKey& key) const {
  const Entry& e = entry(index);
  return e.words[0].load(std::memory_order_relaxed) == key.client.word(0) &&
         e.words[1].load(std::memory_order_relaxed) == key.client.word(1) &&
         static_cast<uint16_t>(e.words[2].load(std::memory_order_relaxed)) == key.client_port.raw;
}

inline FlowIndex FlowTable::first_of(uint64_t bucket, uint32_t matches) const {
  const FlowIndex index = index_of(bucket, std::countr_zero(matches));
  prefetch(&entry(index));
  return index;
}

inline FlowIndex FlowTable::first_candidate(const Location& location) const {
  if (const uint32_t matches = tag_matches(location.first, location.tag()); matches != 0) [[likely]]
    return first_of(location.first, matches);
  if (buckets_[location.first].displaced.load(std::memory_order_relaxed) != 0) {
    prefetch(&buckets_[second(location)]);
  } else if (const uint32_t empty = tag_matches(location.first, 0); empty != 0) {
    prefetch(&buckets_[location.first].entries[std::countr_zero(empty)]);
  }
  return kNoFlow;
}

// Out of line, as few packets need it and the caller's loop needs the registers.
[[gnu::noinline]] inline FlowIndex FlowTable::second_candidate(const Location& location) const {
  if (buckets_[location.first].displaced.load(std::memory_order_relaxed) == 0) return kNoFlow;
  const uint64_t bucket = second(location);
  const uint32_t matches = tag_matches(bucket, location.tag());
  return matches != 0 ? first_of(bucket, matches) : kNoFlow;
}

// Most packets without a candidate begin a flow, and their first bucket says so.
template <typename ServiceOf>
[[gnu::noinline]] FlowIndex FlowTable::find(const Location& location, const FlowKey& key,
                                            const ServiceOf& service_of) const {
  if (tag_matches(location.first, location.tag()) == 0 &&
      buckets_[location.first].displaced.load(std::memory_order_relaxed) == 0)
    return kNoFlow;
  return search(location, key, service_of);
}

template <typename ServiceOf>
[[gnu::noinline]] FlowIndex FlowTable::search(const Location& location, const FlowKey& key,
                                              const ServiceOf& service_of) const {
  uint64_t bucket = location.first;
  for (int looks = 0; looks < 2; ++looks) {
    for (uint32_t matches = tag_matches(bucket, location.tag()); matches != 0; matches &= matches - 1) {
      const FlowIndex index = index_of(bucket, std::countr_zero(matches));
      if (is(index, key, service_of)) return index;
    }
    if (buckets_[location.first].displaced.load(std::memory_order_relaxed) == 0) break;
    bucket = second(location);
  }
  return kNoFlow;
}

// Inline in WorkerFlows::begin(), where a call would cost 30 instructions of the 760 for a new flow.
[[gnu::always_inline]] inline FlowIndex FlowTable::insert(const Location& location, const FlowKey& key,
                                                          uint16_t backend, uint32_t birth_generation,
                                                          FlowState state) {
  uint64_t number = location.first;
  uint32_t empty = tag_matches(number, 0);
  if (std::popcount(empty) <= static_cast<int>(kSlots / 3)) {
    const uint64_t other = second(location);
    if (const uint32_t others = tag_matches(other, 0); std::popcount(others) > std::popcount(empty)) {
      number = other;
      empty = others;
    }
  }
  if (empty == 0) return kNoFlow;

  const uint32_t slot = static_cast<uint32_t>(std::countr_zero(empty));
  const FlowIndex index = index_of(number, slot);
  Bucket& bucket = buckets_[number];
  if (number != location.first) {
    state.flags |= kFlowDisplaced;
    auto& displaced = buckets_[location.first].displaced;
    displaced.store(static_cast<uint16_t>(displaced.load(std::memory_order_relaxed) + 1),
                    std::memory_order_relaxed);
  } else {
    state.flags &= static_cast<uint8_t>(~kFlowDisplaced);
  }
  bucket.young.store(bucket.young.load(std::memory_order_relaxed) | uint32_t{1} << slot,
                     std::memory_order_relaxed);
  // Each release store below pairs with the acquire load of the same word in read().
  bucket.inserts.store(bucket.inserts.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  Entry& e = bucket.entries[slot];
  e.words[0].store(key.client.word(0), std::memory_order_release);
  e.words[1].store(key.client.word(1), std::memory_order_release);
  e.words[2].store(uint64_t{key.client_port.raw} | uint64_t{backend} << 16 | uint64_t{birth_generation} << 32,
                   std::memory_order_release);
  e.words[3].store(std::bit_cast<uint64_t>(state), std::memory_order_release);
  bucket.tags[slot].store(location.tag(), std::memory_order_release);
  return index;
}

template <typename ServiceOf>
void FlowTable::recount_displaced(const ServiceOf& service_of) {
  for (uint64_t bucket = 0; bucket < geometry_.buckets(); ++bucket)
    buckets_[bucket].displaced.store(0, std::memory_order_relaxed);
  for (uint64_t bucket = 0; bucket < geometry_.buckets(); ++bucket) {
    for_each_in_bucket(bucket, [&](FlowIndex, const Flow& flow) {
      const Location location = locate({flow.client, flow.client_port, service_of[flow.backend]});
      if (location.first == bucket) return;
      auto& displaced = buckets_[location.first].displaced;
      displaced.store(static_cast<uint16_t>(displaced.load(std::memory_order_relaxed) + 1),
                      std::memory_order_relaxed);
    });
  }
}

}  // namespace teal
