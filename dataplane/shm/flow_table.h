// SPDX-License-Identifier: Apache-2.0
//
// The flow table: every flow that any worker knows, in shared memory that outlives the workers.
//
// clang-format off
//   partition  a run of buckets; each worker owns a run of partitions and is their only writer. Both buckets
//              of a flow are in one partition.
//   bucket     24 slots: one cache line of tags (16 bits of the hash, 0 = empty), and behind it the entries,
//              mostly in the same page.
//   entry      32 bytes: client address 16, client port 2, backend id 2, birth generation 4, and one mutable
//              word of 8.
// clang-format on
//
// A flow lives in its first bucket, or, where that is two thirds full, in the emptier of its two. A
// bucket counts the flows that were displaced from it, so that a lookup touches the second only where there
// is one to find. 24 slots and two choices fill to 88 % of a large table (and to 68 % of one of 1,000 flows,
// where chance weighs more) before an insert finds both full; for_capacity() leaves room accordingly.
// Measured: 39.8 bytes per flow of capacity for 1,000,000 flows, 42.6 for 100,000, 53 for 10,000.
//
// Invariants, which hold after a kill at any instruction:
// clang-format off
//   1. An entry is written before its tag is stored (release); a tag is cleared before its entry is written
//      again, and before that the bucket's `inserts` is raised.
//   2. Entries never move. A re-pin is a removal and an insert.
//   3. `displaced` is at least the number of live entries that name this bucket as their first and live in
//      another: it is raised before the tag is stored and lowered after the tag is cleared. A start
//      recomputes it.
// clang-format on
//
// Thread safety: find, insert, remove and set_state of a partition by its owner alone; read() by anybody, at
// any time. read() is the reader of a sequence lock whose number is `inserts`: it loads the number, the tag,
// the words (acquire) and the number again. A word of a later flow in the same slot was stored (release)
// after the number was raised, so the second look at the number finds it changed, even if the later flow has
// the same tag. On x86-64 all of these are plain moves; there is no fence (ThreadSanitizer does not know
// fences).
//
// Worked example: capacity 1,000,000 gives 64 partitions of 747 buckets: 47,808 x (64 + 24 x 32) = 39.8 MB.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <emmintrin.h>

#include "dataplane/packet/flow_key.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

enum class FlowPhase : uint8_t {
  kEmbryonic,  // no answer from the backend yet
  kEstablished,
  kClientFin,   // half closed
  kBackendFin,  // half closed
  kClosed,      // both FINs
  kReset,
  kResetting,  // live, but Teal is resetting it: see reset.h
  kCount
};
constexpr bool is_closing(FlowPhase phase) {
  return phase == FlowPhase::kClosed || phase == FlowPhase::kReset;
}

enum FlowFlags : uint8_t {
  kFlowGreen = 1,      // the colour it was chosen as
  kFlowDisplaced = 2,  // lives in its second bucket
  kFlowMidstream = 4,  // began with a TCP packet that was no SYN
  kFlowUdp = 8,
  kFlowUnassured =
      16,  // embryonic: nothing has shown yet that both ends talk (a SYN flood gets answers, too)
  kFlowClientReset = 32,   // Teal resets it: the client was sent a RST, or sent one
  kFlowBackendReset = 64,  // the same of the backend
};

// The mutable word of an entry.
struct FlowState {
  uint32_t tick = 0;      // since when the timeout counts
  uint16_t last_hop = 0;  // index into Segment::last_hops
  FlowPhase phase : 6 = FlowPhase::kEmbryonic;
  uint8_t probes : 2 = 0;  // of a flow that is being reset: how often its ends were probed
  uint8_t flags = 0;       // FlowFlags

  Colour colour() const { return flags & kFlowGreen ? Colour::kGreen : Colour::kBlue; }
  friend bool operator==(const FlowState&, const FlowState&) = default;
};
static_assert(sizeof(FlowState) == 8);

// Does Teal reset it, or has it done so? Then nothing passes from one end to the other but a RST (reset.h).
constexpr bool is_reset_by_teal(const FlowState& state) {
  return state.phase >= FlowPhase::kReset && (state.phase == FlowPhase::kResetting ||
                                              (state.flags & (kFlowClientReset | kFlowBackendReset)) != 0);
}

// Established and proven, and nobody resets it: what it lacks for any change but that of its time. By one
// look at the whole word.
inline bool is_steady(const FlowState& state) {
  const FlowState looked_at{.phase = static_cast<FlowPhase>(0x3f),
                            .flags = kFlowUnassured | kFlowClientReset | kFlowBackendReset};
  const FlowState quiet{.phase = FlowPhase::kEstablished};
  return (std::bit_cast<uint64_t>(state) & std::bit_cast<uint64_t>(looked_at)) ==
         std::bit_cast<uint64_t>(quiet);
}

struct Flow {
  IpAddress client;
  Be16 client_port;
  uint16_t backend = kNoId;  // id; it names the service
  uint32_t birth_generation = 0;
  FlowState state;
};
static_assert(sizeof(Flow) == 32);

using FlowIndex = uint64_t;  // made by FlowTable::index_of() alone: not each number is one
inline constexpr FlowIndex kNoFlow = ~uint64_t{0};

// Birth generations are the low 32 bits.
constexpr bool is_older(uint32_t generation, uint32_t than) {
  return static_cast<int32_t>(generation - than) < 0;
}

// By assembly: GCC 12 takes a function in which __builtin_prefetch is all that happens for one without any
// effect, and drops the calls of it.
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
    uint8_t spare[4];
    Entry entries[kSlots];
  };
  static_assert(sizeof(Bucket) == 64 + kSlots * sizeof(Entry) && offsetof(Bucket, entries) == 64);

  // A flow's index says how far into the table its entry is, in cells of an entry's size: a bucket's tags
  // take the first two of its 26. So the way from an index to its entry is one shift.
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

  // Where a flow may live: its first bucket, and by the flow hash the tag there and its second().
  struct Location {
    uint64_t first;  // bucket
    uint64_t hash;

    uint16_t tag() const {
      const auto low = static_cast<uint16_t>(hash);
      return static_cast<uint16_t>(low + (low == 0));  // 0 is an empty slot's
    }
  };

  // A view of zeroed or formerly used memory; the memory belongs to the segment.
  FlowTable(Geometry geometry, Bucket* buckets, uint64_t hash_seed)
      : geometry_(geometry),
        bucket_count_(static_cast<uint32_t>(geometry.buckets())),
        buckets_(buckets),
        hash_seed_(hash_seed),
        secret_(hash_seed) {}

  const Geometry& geometry() const { return geometry_; }
  uint64_t hash_seed() const { return hash_seed_; }
  const HashSecret& secret() const { return secret_; }

  // That of the first bucket: both come from the same bits.
  uint32_t partition_of(uint64_t flow_hash) const { return scale(flow_hash, geometry_.partitions); }
  uint32_t owner_of(uint64_t flow_hash, uint32_t workers) const {
    return partition_of(flow_hash) * workers / geometry_.partitions;
  }
  // The partitions that `worker` of `workers` owns: [first_partition(w), first_partition(w + 1)).
  uint32_t first_partition(uint32_t worker, uint32_t workers) const {
    return (worker * geometry_.partitions + workers - 1) / workers;
  }
  // And the buckets, likewise.
  uint64_t first_bucket(uint32_t worker, uint32_t workers) const {
    return uint64_t{first_partition(worker, workers)} * geometry_.buckets_per_partition;
  }

  Location locate(uint64_t flow_hash) const { return {scale(flow_hash, bucket_count_), flow_hash}; }
  Location locate(const FlowKey& key) const { return locate(flow_hash(key, secret_)); }
  uint64_t second(const Location& location) const;  // bucket; equals `first` where a partition has only one
  void prefetch_tags(uint64_t bucket) const { prefetch(&buckets_[bucket]); }
  // For for_each_in_bucket(), with the tags.
  void prefetch_entries(uint64_t bucket) const {
    for (uint32_t slot = 0; slot < kSlots; slot += 64 / sizeof(Entry))
      prefetch(&buckets_[bucket].entries[slot]);
  }
  // A lookup in steps, so that those of a burst wait for memory together: guess() where prefetch_tags() was
  // some time ago, second_candidate() some time later, and some time later find_by(). A guess is the first
  // slot whose tag matches; its entry is prefetched. Where there is none, the second bucket's tags are, if
  // the flow may be there, or else the entry that insert() would write. A guess stays good while flows are
  // inserted, and until its own slot is emptied: then it is kNoFlow.
  FlowIndex first_candidate(const Location& location) const;
  FlowIndex second_candidate(const Location& location) const;  // after a guess() that gave none
  template <typename ServiceOf>
  FlowIndex find_by(FlowIndex candidate, const Location& location, const FlowKey& key,
                    const ServiceOf& service_of) const {
    if (candidate != kNoFlow && is(candidate, key, service_of)) [[likely]]
      return candidate;
    return find(location, key, service_of);
  }

  // Is the flow in this slot, which is not empty, that of `key`? Or of the same client's with another
  // service?
  bool holds(FlowIndex index, const FlowKey& key) const;
  // Is it that of `key`?
  template <typename ServiceOf>
  bool is(FlowIndex index, const FlowKey& key, const ServiceOf& service_of) const {
    return holds(index, key) && service_of[backend(index)] == key.service;
  }

  // `service_of[backend id]` is the service's id. kNoFlow if there is none.
  template <typename ServiceOf>
  FlowIndex find(const Location& location, const FlowKey& key, const ServiceOf& service_of) const;

  // `key` is not in the table. kNoFlow if both buckets are full; then nothing changed. Flags get
  // kFlowDisplaced as it falls.
  FlowIndex insert(const Location& location, const FlowKey& key, uint16_t backend, uint32_t birth_generation,
                   FlowState state);

  // `place` is that of the entry's key.
  void remove(FlowIndex index, const Location& location);

  FlowState state(FlowIndex index) const {
    return std::bit_cast<FlowState>(entry(index).words[3].load(std::memory_order_relaxed));
  }
  // Keeps kFlowDisplaced as it is in `state`: callers change what state() gave.
  void set_state(FlowIndex index, FlowState state) {
    // Release: a reader that sees it sees the insert before it too.
    entry(index).words[3].store(std::bit_cast<uint64_t>(state), std::memory_order_release);
  }
  uint16_t backend(FlowIndex index) const {
    return static_cast<uint16_t>(entry(index).words[2].load(std::memory_order_relaxed) >> 16);
  }
  uint32_t birth_generation(FlowIndex index) const {
    return static_cast<uint32_t>(entry(index).words[2].load(std::memory_order_relaxed) >> 32);
  }

  // The owner's note of when (tick) it will look into a bucket again, kept with the tags: whoever looks round
  // the table at those that are due need not touch the others' entries. Empty memory says 0.
  uint32_t due(uint64_t bucket) const { return buckets_[bucket].due.load(std::memory_order_relaxed); }
  void set_due(uint64_t bucket, uint32_t tick) {
    buckets_[bucket].due.store(tick, std::memory_order_relaxed);
  }
  // This entry's bucket, at `tick` at the latest.
  void bring_forward(FlowIndex index, uint32_t tick) {
    if (is_before(tick, due(bucket_of(index)))) set_due(bucket_of(index), tick);
  }

  // Any thread: the flow in this slot, or nothing if it is empty (or, for others than the owner, if eight
  // looks in a row were each overtaken by an insert into its bucket).
  std::optional<Flow> read(FlowIndex index) const;

  // Calls visit(FlowIndex, const Flow&) for each flow in the bucket. The visitor may remove that flow.
  template <typename Visit>
  void for_each_in_bucket(uint64_t bucket, Visit&& visit) const {
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      const FlowIndex index = index_of(bucket, slot);
      if (const std::optional<Flow> flow = read(index)) visit(index, *flow);
    }
  }

  // At start, by one thread, before any worker runs: `displaced` of every bucket anew. service_of as for
  // find().
  template <typename ServiceOf>
  void recount_displaced(const ServiceOf& service_of);

 private:
  Entry& entry(FlowIndex index) const {
    return *reinterpret_cast<Entry*>(reinterpret_cast<char*>(buckets_) + index * sizeof(Entry));
  }
  uint32_t tag_matches(uint64_t bucket, uint16_t tag) const;  // bit i: slot i's tag equals `tag`
  uint32_t used_slots(uint64_t bucket) const { return kSlots - std::popcount(tag_matches(bucket, 0)); }
  FlowIndex first_of(uint64_t bucket, uint32_t matches) const;  // matches: not 0

  Geometry geometry_;
  uint32_t bucket_count_;
  Bucket* buckets_;
  uint64_t hash_seed_;
  HashSecret secret_;
};

inline uint64_t FlowTable::second(const Location& location) const {
  const uint32_t count = geometry_.buckets_per_partition;
  const uint64_t end = (uint64_t{partition_of(location.hash)} + 1) * count;
  // 1 .. count - 1 further on, by bits that neither `first` nor the tag takes.
  const uint64_t bucket =
      location.first + (count > 1 ? 1 + (((location.hash >> 16 & 0xffff) * (count - 1)) >> 16) : 0);
  return bucket >= end ? bucket - count : bucket;
}

// Three 16-byte loads. They are not atomic as a whole, but each 16-bit tag is (x86-64: aligned loads do not
// tear within it), and only the owner searches while only the owner writes: others read().
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

// Out of line: few need it, and the loop around it needs the registers.
[[gnu::noinline]] inline FlowIndex FlowTable::second_candidate(const Location& location) const {
  if (buckets_[location.first].displaced.load(std::memory_order_relaxed) == 0) return kNoFlow;
  const uint64_t bucket = second(location);
  const uint32_t matches = tag_matches(bucket, location.tag());
  return matches != 0 ? first_of(bucket, matches) : kNoFlow;
}

template <typename ServiceOf>
FlowIndex FlowTable::find(const Location& location, const FlowKey& key, const ServiceOf& service_of) const {
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
