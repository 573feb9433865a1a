// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/flows.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/random.h>
#include <unistd.h>

#include "dataplane/shm/old_release.h"
#include "dataplane/shm/tsc_clock.h"

namespace teal {
namespace {

constexpr uint64_t kBucketsOffset = (sizeof(FlowsHeader) + 4095) / 4096 * 4096;

FlowsHeader& header_of(const SegmentFile& file) {
  return *static_cast<FlowsHeader*>(file.base());
}

// Returns how the flows differ from what is wanted, or "".
std::string difference(const FlowsHeader& header, const FlowsOptions& options) {
  if (header.flow_capacity != options.capacity)
    return is_but("flow_capacity", header.flow_capacity, options.capacity);
  const auto geometry = FlowTable::Geometry::for_capacity(options.capacity, options.partitions);
  if (header.geometry.partitions != geometry.partitions ||
      header.geometry.buckets_per_partition != geometry.buckets_per_partition)
    return "this release lays out flow_capacity " + std::to_string(options.capacity) + " in another way";
  if (options.hash_seed != 0 && options.hash_seed != header.hash_seed)
    return is_but("hash_seed", header.hash_seed, options.hash_seed);
  return "";
}

tl::expected<uint64_t, std::string> random_seed() {
  uint64_t seed = 0;
  while (seed == 0)
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) && errno != EINTR)
      return tl::make_unexpected(std::string("getrandom for the hash seed: ") + std::strerror(errno));
  return seed;
}

// Where a new file gets its flows from.
struct Source {
  const FlowsHeader& header;
  FlowTable table;
  FlowState (*present)(FlowState);  // what a state means in this release
};

struct Moved {
  uint64_t flows = 0;
  uint64_t lost = 0;  // no bucket had room, or nothing says what their backend is
};

void copy_all_but_the_table(const FlowsHeader& from, FlowsHeader& to) {
  std::memcpy(to.port_names, from.port_names, sizeof(to.port_names));
  to.generation.store(from.generation.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.last_insert_failure_tick.store(from.last_insert_failure_tick.load(std::memory_order_relaxed),
                                    std::memory_order_relaxed);
  to.ids.timeouts = from.ids.timeouts;
  for (uint32_t id = 0; id < kMaxServices; ++id) to.ids.services[id] = from.ids.services[id];
  for (uint32_t id = 0; id < kMaxBackends; ++id) {
    to.ids.backends[id].socket = from.ids.backends[id].socket;
    to.ids.backends[id].service = from.ids.backends[id].service;
    to.ids.backends[id].known.store(from.ids.backends[id].known.load(std::memory_order_relaxed),
                                    std::memory_order_relaxed);
  }
  for (uint32_t id = 0; id < kMaxLastHops; ++id) {
    const LastHopOrigin& origin = from.last_hop_origins[id];
    LastHopOrigin& copy = to.last_hop_origins[id];
    for (int half = 0; half < 2; ++half)
      copy.client[half].store(origin.client[half].load(std::memory_order_relaxed), std::memory_order_relaxed);
    copy.router = origin.router;
    copy.hop = origin.hop;
    copy.known.store(origin.known.load(std::memory_order_relaxed), std::memory_order_relaxed);
    to.last_hops[id].store(from.last_hops[id].load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
}

// A row of an older release does not say which client came by it, so any of its flows' clients says so.
void note_client(const Flow& flow, FlowsHeader& flows) {
  if (flow.state.last_hop == kNoLastHop) return;
  LastHopOrigin& origin = flows.last_hop_origins[flow.state.last_hop];
  if (origin.client[1].load(std::memory_order_relaxed) != 0) return;
  for (int half = 0; half < 2; ++half)
    origin.client[half].store(flow.client.word(half), std::memory_order_relaxed);
}

Moved move_flows(const Source& source, FlowsHeader& header, FlowTable to) {
  Moved moved;
  const KnownIds& ids = source.header.ids;
  for (uint64_t bucket = 0; bucket < source.table.geometry().buckets(); ++bucket) {
    source.table.for_each_in_bucket(bucket, [&](FlowIndex, Flow flow) {
      flow.state = source.present(flow.state);
      bool fits = flow.backend < kMaxBackends && ids.backends[flow.backend].known.load() != 0;
      if (fits) {
        const FlowKey key{flow.client, flow.client_port, ids.backends[flow.backend].service};
        fits = to.insert(to.locate(key), key, flow.backend, flow.birth_generation, flow.state) != kNoFlow;
      }
      if (fits) note_client(flow, header);
      ++(fits ? moved.flows : moved.lost);
    });
  }
  return moved;
}

std::string text_of(const Moved& moved, const std::string& from, const std::string& why) {
  std::string text = std::to_string(moved.flows) + " flows moved from " + from + ": " + why;
  if (moved.lost != 0) text += "; " + std::to_string(moved.lost) + " had no place and are lost";
  return text;
}

// Makes a file, with the flows of `source` if there is one.
tl::expected<PlacedFile, std::string> make_flows(const Place& place, const FlowsOptions& options,
                                                 const FoundFile& replaced, const Source* source,
                                                 Moved* moved) {
  const auto geometry = FlowTable::Geometry::for_capacity(options.capacity, options.partitions);
  const uint64_t bytes = kBucketsOffset + geometry.bytes();
  return make_file(
      place, kFlowsName, bytes, replaced, [&](const SegmentFile& file) -> tl::expected<void, std::string> {
        FlowsHeader& header = header_of(file);
        header.magic = kFlowsMagic;
        header.version = kFlowsVersion;
        header.bytes = bytes;
        header.buckets_offset = kBucketsOffset;
        header.flow_capacity = options.capacity;
        header.geometry = geometry;
        header.hash_seed = options.hash_seed != 0 ? options.hash_seed : source ? source->header.hash_seed : 0;
        if (header.hash_seed == 0) {
          const auto seed = random_seed();
          if (!seed) return tl::make_unexpected(seed.error());
          header.hash_seed = *seed;
        }
        if (source != nullptr) {
          copy_all_but_the_table(source->header, header);
          *moved = move_flows(*source, header, flow_table_of(file));
        }
        return {};
      });
}

// Flows in a table of another size are better than none, and so is a start.
tl::expected<PlacedFile, std::string> use_all_the_same(const Place& place, FoundFile found,
                                                       const std::string& error) {
  const std::string notice =
      found.path + ": the flows stay there, as they cannot be moved (" + found.fitness.why + "): " + error;
  auto used = use_file(place, kFlowsName, std::move(found));
  if (used) used->notice = notice;
  return used;
}

// The segment of the old release, where there is one. The file of its segment stays: open_segment() replaces
// it. If there is no room for another table, its flows are lost and the file is removed: nothing is created
// then, and the notice says so.
tl::expected<std::optional<PlacedFile>, std::string> take_over_old_release(const Place& place,
                                                                           const FlowsOptions& options) {
  std::optional<OldRelease> old;
  const auto found = find_file(place, "segment", [](const SegmentFile&) {
    return Fitness{Fitness::Use::kAsSource, "it may be of an older release"};
  });
  if (!found) return tl::make_unexpected(found.error());
  if (found->exists()) old = read_old_release(found->file, now_ticks());
  if (!old) return std::nullopt;
  Moved moved;
  const Source source{*old->header, old->table, from_old_release};
  auto made = make_flows(place, options, FoundFile(), &source, &moved);
  if (!made) {
    unlink(found->path.c_str());
    PlacedFile nothing;
    nothing.notice = found->path + " is of an older release, and its flows are lost: " + made.error();
    return nothing;
  }
  made->has_taken_over = true;
  made->notice = joined(text_of(moved, found->path, "it is of an older release"), made->notice);
  return std::move(*made);
}

}  // namespace

std::string flows_defect(const SegmentFile& file) {
  if (file.bytes() < sizeof(FlowsHeader))
    return "size is " + std::to_string(file.bytes()) + " bytes, expected at least " +
           std::to_string(sizeof(FlowsHeader));
  const FlowsHeader& header = header_of(file);
  if (header.magic != kFlowsMagic) return is_but("magic", header.magic, kFlowsMagic);
  if (header.version != kFlowsVersion) return is_but("version of the flows", header.version, kFlowsVersion);
  const FlowTable::Geometry& geometry = header.geometry;
  // This bound comes first, so that no product overflows.
  if (geometry.buckets() == 0 || geometry.buckets() > file.bytes() / sizeof(FlowTable::Bucket))
    return "geometry is damaged: " + std::to_string(geometry.partitions) + " x " +
           std::to_string(geometry.buckets_per_partition) + " buckets in " + std::to_string(file.bytes()) +
           " bytes";
  if (header.buckets_offset != kBucketsOffset)
    return is_but("offset of the buckets", header.buckets_offset, kBucketsOffset);
  if (header.bytes != kBucketsOffset + geometry.bytes())
    return is_but("size by its header", header.bytes, kBucketsOffset + geometry.bytes());
  if (header.bytes > file.bytes()) return is_but("size", file.bytes(), header.bytes);
  return "";
}

FlowTable flow_table_of(const SegmentFile& file) {
  const FlowsHeader& header = header_of(file);
  auto* buckets = static_cast<char*>(file.base()) + header.buckets_offset;
  return {header.geometry, reinterpret_cast<FlowTable::Bucket*>(buckets), header.hash_seed};
}

// A segment of the old release is newer than any file of flows: that release has run since.
tl::expected<PlacedFile, std::string> open_flows(const Place& place, const FlowsOptions& options) {
  auto taken = take_over_old_release(place, options);
  if (!taken) return tl::make_unexpected(taken.error());
  if (*taken && (*taken)->created) return std::move(**taken);
  auto found = find_file(place, kFlowsName, [&](const SegmentFile& file) {
    if (std::string wrong = flows_defect(file); !wrong.empty())
      return Fitness{Fitness::Use::kNone, "its flows are lost: " + wrong};
    const std::string differs = difference(header_of(file), options);
    return Fitness{differs.empty() ? Fitness::Use::kAsItIs : Fitness::Use::kAsSource, differs};
  });
  if (!found) return tl::make_unexpected(found.error());
  if (*taken) found->notice = joined((*taken)->notice, found->notice);
  if (found->fitness.use == Fitness::Use::kAsItIs) return use_file(place, kFlowsName, std::move(*found));
  if (found->exists()) {
    Moved moved;
    const Source source{header_of(found->file), flow_table_of(found->file),
                        [](FlowState state) { return state; }};
    auto made = make_flows(place, options, *found, &source, &moved);
    if (!made) return use_all_the_same(place, std::move(*found), made.error());
    made->has_taken_over = true;
    made->notice = joined(text_of(moved, found->path, found->fitness.why), made->notice);
    return made;
  }
  return make_flows(place, options, *found, nullptr, nullptr);
}

}  // namespace teal
