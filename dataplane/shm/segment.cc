// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/segment.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <utility>

#include <rte_rcu_qsbr.h>

#include <unistd.h>

namespace teal {
namespace {

constexpr const char* kName = "segment";

// The offsets of a segment's parts. Each part begins on a page.
struct Layout {
  uint64_t qsbr, rulesets, splits, workers, bytes;

  static Layout of() {
    uint64_t end = 0;
    const auto place = [&end](uint64_t bytes) {
      const uint64_t offset = end;
      end = (end + bytes + 4095) / 4096 * 4096;
      return offset;
    };
    place(sizeof(SegmentHeader));
    Layout layout{};
    layout.qsbr = place(rte_rcu_qsbr_get_memsize(kWorkerSlots));
    layout.rulesets = place(kRulesetSlots * sizeof(Ruleset));
    layout.splits = place(kSplitSlots * sizeof(TrafficSplits));
    layout.workers = place(kWorkerSlots * sizeof(WorkerBlock));
    layout.bytes = end;
    return layout;
  }
};

void put_parts(SegmentHeader& header) {
  const auto put = [&](PartId id, uint64_t offset, uint64_t bytes) {
    header.parts[static_cast<size_t>(id)] = {part_version(id), offset, bytes};
  };
  constexpr uint64_t kWord = offsetof(SegmentHeader, word);
  constexpr uint64_t kHops = offsetof(SegmentHeader, next_hops);
  put(PartId::kPublication, kWord, offsetof(SegmentHeader, dataplane_epoch) - kWord);
  put(PartId::kHops, kHops, offsetof(SegmentHeader, failed_clients) - kHops);
  put(PartId::kRulesets, header.rulesets_offset, kRulesetSlots * sizeof(Ruleset));
  put(PartId::kTargets, header.splits_offset, kSplitSlots * sizeof(TrafficSplits));
  put(PartId::kCounters, header.workers_offset, kWorkerSlots * sizeof(WorkerBlock));
  put(PartId::kFailedClients, offsetof(SegmentHeader, failed_clients), sizeof(SegmentHeader::failed_clients));
}

std::string hex(uint64_t value) {
  char text[19];
  snprintf(text, sizeof(text), "0x%016llx", static_cast<unsigned long long>(value));
  return text;
}

// Returns whether the file is a finished segment, of any ABI. magic, abi, bytes and state have the same
// offsets in every ABI.
std::string unfinished(const SegmentFile& file) {
  if (file.bytes() < offsetof(SegmentHeader, tsc_hz))
    return is_but("size", std::to_string(file.bytes()) + " bytes",
                  "at least " + std::to_string(sizeof(SegmentHeader)) + ": an unfinished creation");
  const auto& header = *static_cast<const SegmentHeader*>(file.base());
  // Acquire: pairs with the release store in fill().
  const uint32_t state = header.state.load(std::memory_order_acquire);
  if (header.magic == 0 && state == 0) return "state is 0: an unfinished creation";
  if (header.magic != kSegmentMagic) return is_but("magic", hex(header.magic), hex(kSegmentMagic));
  if (state != kSegmentReady)
    return is_but("state", hex(state), hex(kSegmentReady) + ": an unfinished creation");
  return "";
}

// Returns why the segment, which is finished, is not of this ABI, or "" if it is.
std::string of_another_abi(const SegmentFile& file) {
  const auto& header = *static_cast<const SegmentHeader*>(file.base());
  if (header.abi == segment_abi()) return "";
  return is_but("ABI", hex(header.abi), hex(segment_abi()) + ": made by another version");
}

// Returns how the segment, which has this ABI, is damaged, or "" if it is not.
std::string damage(const SegmentFile& file) {
  const auto& header = *static_cast<const SegmentHeader*>(file.base());
  const Layout layout = Layout::of();
  if (header.bytes != layout.bytes) return is_but("size by its header", header.bytes, layout.bytes);
  if (header.bytes > file.bytes())
    return is_but("size", std::to_string(file.bytes()) + " bytes",
                  std::to_string(header.bytes) + " by its header");
  if (header.qsbr_offset != layout.qsbr || header.rulesets_offset != layout.rulesets ||
      header.splits_offset != layout.splits || header.workers_offset != layout.workers)
    return "its offsets are damaged: they are not those of its ABI";
  return "";
}

// Completes a file that has the parts of another release, or none: nobody attaches to it before.
void complete(SegmentHeader& header, const KnownIds& ids) {
  const auto at = [&](uint64_t offset) { return reinterpret_cast<char*>(&header) + offset; };
  auto* blocks = reinterpret_cast<WorkerBlock*>(at(header.workers_offset));
  const auto is_unused = [](const Counter& counter) { return counter.read() == 0; };
  uint32_t used = 0;
  for (uint32_t worker = 0; worker < kWorkerSlots; ++worker) {
    blocks[worker].status.state.store(WorkerState::kAbsent, std::memory_order_relaxed);
    const auto& events = blocks[worker].events;
    if (!std::all_of(std::begin(events), std::end(events), is_unused)) used = worker + 1;
  }
  header.most_workers.store(used, std::memory_order_relaxed);  // totals sum so many blocks
  // A word without a generation names slot 0.
  if (PublicationWord::unpack(header.word.load(std::memory_order_relaxed)).generation == 0)
    rules_of_known_ids(ids, *reinterpret_cast<Ruleset*>(at(header.rulesets_offset)));
}

// Fills a zeroed file, with the parts of `source` that this ABI knows. `state` is stored last.
tl::expected<void, std::string> fill(const SegmentFile& file, const SegmentFile* source, const KnownIds& ids,
                                     bool* has_rules) {
  const Layout layout = Layout::of();
  auto& header = *static_cast<SegmentHeader*>(file.base());
  header.magic = kSegmentMagic;
  header.abi = segment_abi();
  header.bytes = layout.bytes;
  header.qsbr_offset = layout.qsbr;
  header.rulesets_offset = layout.rulesets;
  header.splits_offset = layout.splits;
  header.workers_offset = layout.workers;
  put_parts(header);
  auto* qsbr = reinterpret_cast<rte_rcu_qsbr*>(static_cast<char*>(file.base()) + layout.qsbr);
  if (rte_rcu_qsbr_init(qsbr, kWorkerSlots) != 0)
    return tl::make_unexpected(std::string("rte_rcu_qsbr_init failed on the new segment"));
  if (source != nullptr)
    *has_rules = take_over_parts(*static_cast<const SegmentHeader*>(source->base()), source->bytes(), header);
  complete(header, ids);
  // Release: pairs with the acquire load in unfinished().
  header.state.store(kSegmentReady, std::memory_order_release);
  return {};
}

void forget_hops(SegmentHeader& header) {
  for (auto& hop : header.next_hops) hop.store(Hop::kNone, std::memory_order_relaxed);
  for (auto& hop : header.client_default_hops) hop.store(Hop::kNone, std::memory_order_relaxed);
}

struct OpenedSegment {
  PlacedFile placed;
  bool was_there = false;  // a finished segment, of any ABI
  bool has_rules = false;  // they were kept
};

// Finds the file "segment", or makes one.
tl::expected<OpenedSegment, std::string> open_segment(const Place& place, const KnownIds& ids) {
  using Use = Fitness::Use;
  auto found = find_file(place, kName, [](const SegmentFile& file) {
    if (std::string why = unfinished(file); !why.empty()) return Fitness{Use::kNone, why};
    if (std::string why = of_another_abi(file); !why.empty()) return Fitness{Use::kAsSource, why};
    const std::string why = damage(file);
    return Fitness{why.empty() ? Use::kAsItIs : Use::kNone, why};
  });
  if (!found) return tl::make_unexpected(found.error());
  OpenedSegment opened{.was_there = found->exists()};
  if (found->fitness.use == Use::kAsItIs) {
    auto used = use_file(place, kName, std::move(*found));
    if (!used) return tl::make_unexpected(used.error());
    opened.placed = std::move(*used);
    opened.has_rules = true;  // all that there were
    return opened;
  }
  const SegmentFile* source = opened.was_there ? &found->file : nullptr;
  auto made = make_file(place, kName, Layout::of().bytes, *found,
                        [&](const SegmentFile& file) { return fill(file, source, ids, &opened.has_rules); });
  if (!made) return tl::make_unexpected(made.error());
  opened.placed = std::move(*made);
  if (opened.was_there)
    opened.placed.notice = joined(found->path + " replaced: " + found->fitness.why, opened.placed.notice);
  return opened;
}

// Returns what a start lacks that found the flows or the rules alone, or "". `flows` is null if the file of
// the flows is new. A segment gets its rules by the first publication.
std::string what_is_missing(const FlowsHeader* flows, const OpenedSegment& segment) {
  if (flows == nullptr)
    return segment.was_there ? "no flows were found beside the segment: the table is empty" : "";
  if (segment.has_rules || flows->generation.load(std::memory_order_relaxed) == 0) return "";
  return "no rules were kept: until teald publishes only existing flows are forwarded";
}

}  // namespace

tl::expected<Segment::Opened, std::string> Segment::open_or_create(const Options& options) {
  const Place place{options.run_dir, options.try_huge_pages, options.reserve};
  auto flows = open_flows(place, {options.flow_capacity, options.hash_seed, options.partitions});
  if (!flows) return tl::make_unexpected(flows.error());
  auto found = open_segment(place, static_cast<const FlowsHeader*>(flows->file.base())->ids);
  if (!found) return tl::make_unexpected(found.error());
  PlacedFile& file = found->placed;

  Opened opened;
  opened.segment = Segment(std::move(file.file), std::move(flows->file));
  opened.path = file.path;
  opened.flows_path = flows->path;
  opened.created = flows->created && !flows->has_taken_over;
  opened.notice = joined(joined(flows->notice, file.notice),
                         what_is_missing(opened.created ? nullptr : &opened.segment.flows(), *found));
  opened.no_huge_pages = flows->no_huge_pages.empty() ? file.no_huge_pages : flows->no_huge_pages;
  opened.flows_on_tmpfs = flows->path == SegmentPaths::of(options.run_dir, kFlowsName).tmpfs;
  SegmentHeader& header = opened.segment.header();
  if (opened.created) forget_hops(header);  // their ports had other ids
  header.counted_epoch.store(0, std::memory_order_relaxed);
  forget_readers(opened.segment);
  return opened;
}

tl::expected<Segment, std::string> Segment::attach(const std::string& run_dir) {
  const auto open = [&](const char* name) -> tl::expected<SegmentFile, std::string> {
    const std::string link = SegmentPaths::of(run_dir, name).link;
    if (access(link.c_str(), F_OK) != 0)
      return tl::make_unexpected(link + ": " + std::strerror(errno) +
                                 ", expected the segment that teal-dataplane makes when it starts");
    return SegmentFile::open(link, true);
  };
  auto file = open(kName);
  if (!file) return tl::make_unexpected(file.error());
  for (const auto wrong : {unfinished, of_another_abi, damage})
    if (const std::string why = wrong(*file); !why.empty())
      return tl::make_unexpected(SegmentPaths::of(run_dir, kName).link + ": " + why);
  auto flows = open(kFlowsName);
  if (!flows) return tl::make_unexpected(flows.error());
  if (const std::string why = flows_defect(*flows); !why.empty())
    return tl::make_unexpected(SegmentPaths::of(run_dir, kFlowsName).link + ": " + why);
  return Segment(std::move(*file), std::move(*flows));
}

rte_rcu_qsbr* Segment::qsbr() const {
  return reinterpret_cast<rte_rcu_qsbr*>(at(header().qsbr_offset));
}

Ruleset& Segment::ruleset(uint32_t slot) const {
  return reinterpret_cast<Ruleset*>(at(header().rulesets_offset))[slot];
}

TrafficSplits& Segment::splits(uint32_t slot) const {
  return reinterpret_cast<TrafficSplits*>(at(header().splits_offset))[slot];
}

WorkerBlock& Segment::worker(uint32_t index) const {
  return reinterpret_cast<WorkerBlock*>(at(header().workers_offset))[index];
}

bool Segment::is_current(const std::string& run_dir) const {
  return file_.is_at(SegmentPaths::of(run_dir, kName).link) &&
         flows_.is_at(SegmentPaths::of(run_dir, kFlowsName).link);
}

}  // namespace teal
