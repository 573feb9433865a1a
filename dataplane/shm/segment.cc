// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/segment.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <vector>

#include <rte_rcu_qsbr.h>

#include <sys/random.h>
#include <unistd.h>

namespace teal {
namespace {

// The offsets of a segment's parts. Each part begins on a page.
struct Layout {
  uint64_t qsbr, rulesets, splits, workers, buckets, bytes;

  static Layout of(const FlowTable::Geometry& geometry) {
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
    layout.buckets = place(geometry.bytes());
    layout.bytes = end;
    return layout;
  }
};

bool same_geometry(const FlowTable::Geometry& a, const FlowTable::Geometry& b) {
  return a.partitions == b.partitions && a.buckets_per_partition == b.buckets_per_partition;
}

std::string hex(uint64_t value) {
  char text[19];
  snprintf(text, sizeof(text), "0x%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::string expected_but(const std::string& what, const std::string& is, const std::string& expected) {
  return what + " is " + is + ", expected " + expected;
}

// Returns why the file is not a finished segment of this ABI, or "" if it is one. magic, abi, bytes and state
// have the same offsets in every ABI.
std::string defect(const SegmentFile& file) {
  if (file.bytes() < sizeof(SegmentHeader))
    return expected_but("size", std::to_string(file.bytes()) + " bytes",
                        "at least " + std::to_string(sizeof(SegmentHeader)) + ": an unfinished creation");
  const auto& header = *static_cast<const SegmentHeader*>(file.base());
  // Acquire: pairs with the release store in fill().
  const uint32_t state = header.state.load(std::memory_order_acquire);
  if (header.magic == 0 && state == 0) return "state is 0: an unfinished creation";
  if (header.magic != kSegmentMagic) return expected_but("magic", hex(header.magic), hex(kSegmentMagic));
  if (header.abi != segment_abi())
    return expected_but("ABI", hex(header.abi), hex(segment_abi()) + ": made by another version");
  if (state != kSegmentReady)
    return expected_but("state", hex(state), hex(kSegmentReady) + ": an unfinished creation");

  const FlowTable::Geometry& geometry = header.geometry;
  if (header.bytes > file.bytes())
    return expected_but("size", std::to_string(file.bytes()) + " bytes",
                        std::to_string(header.bytes) + " by its header");
  // This bound comes first, so that Layout::of() cannot overflow.
  if (geometry.buckets() == 0 || geometry.buckets() > file.bytes() / sizeof(FlowTable::Bucket))
    return "geometry is damaged: " + std::to_string(geometry.partitions) + " x " +
           std::to_string(geometry.buckets_per_partition) + " buckets in " + std::to_string(file.bytes()) +
           " bytes";
  const Layout layout = Layout::of(geometry);
  if (header.bytes != layout.bytes)
    return expected_but("size by its header", std::to_string(header.bytes), std::to_string(layout.bytes));
  if (header.qsbr_offset != layout.qsbr || header.rulesets_offset != layout.rulesets ||
      header.splits_offset != layout.splits || header.workers_offset != layout.workers ||
      header.buckets_offset != layout.buckets)
    return "its offsets are damaged: they do not follow from its geometry";
  return "";
}

// Returns why a valid segment does not match the options, or "" if it does.
std::string mismatch(const SegmentHeader& header, const Segment::Options& options) {
  if (header.flow_capacity != options.flow_capacity)
    return expected_but("flow_capacity", std::to_string(header.flow_capacity),
                        std::to_string(options.flow_capacity));
  if (!same_geometry(header.geometry,
                     FlowTable::Geometry::for_capacity(options.flow_capacity, options.partitions)))
    return "the geometry of its flow table differs from the one that flow_capacity " +
           std::to_string(options.flow_capacity) + " gives in this version";
  if (options.hash_seed != 0 && options.hash_seed != header.hash_seed)
    return expected_but("hash_seed", std::to_string(header.hash_seed), std::to_string(options.hash_seed));
  return "";
}

tl::expected<uint64_t, std::string> random_seed() {
  uint64_t seed = 0;
  while (seed == 0)
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) && errno != EINTR)
      return tl::make_unexpected(std::string("getrandom for the hash seed: ") + std::strerror(errno));
  return seed;
}

std::string in_use(const std::string& path) {
  return path +
         ": in use by another dataplane, expected none (run directories of one name share a segment on huge "
         "pages)";
}

// Creates the file of a new segment: on huge pages if enough are free, else on tmpfs. If the segment that was
// set aside takes the huge pages, it is removed.
tl::expected<SegmentFile, std::string> new_file(const SegmentPaths& paths, const Segment::Options& options,
                                                uint64_t bytes, Segment::Opened* opened) {
  if (options.try_huge_pages && paths.huge.empty())
    opened->no_huge_pages = "/dev/hugepages is not a hugetlbfs";
  if (options.try_huge_pages && !paths.huge.empty()) {
    opened->path = paths.huge;
    auto file = SegmentFile::create(paths.huge, bytes, options.reserve);
    if (!file && unlink(aside_path(paths.huge).c_str()) == 0) {
      if (!opened->notice.empty()) opened->notice += "; it was removed, as its huge pages are needed";
      file = SegmentFile::create(paths.huge, bytes, options.reserve);
    }
    if (file) return file;
    opened->no_huge_pages = file.error();
  }
  opened->path = paths.tmpfs;
  return SegmentFile::create(paths.tmpfs, bytes, options.reserve);
}

// Fills a zeroed file. `state` is stored last.
tl::expected<void, std::string> fill(const SegmentFile& file, const Segment::Options& options,
                                     const FlowTable::Geometry& geometry, const Layout& layout) {
  auto& header = *static_cast<SegmentHeader*>(file.base());
  header.magic = kSegmentMagic;
  header.abi = segment_abi();
  header.bytes = layout.bytes;
  header.flow_capacity = options.flow_capacity;
  header.geometry = geometry;
  header.hash_seed = options.hash_seed;
  if (header.hash_seed == 0) {
    const auto seed = random_seed();
    if (!seed) return tl::make_unexpected(seed.error());
    header.hash_seed = *seed;
  }
  header.qsbr_offset = layout.qsbr;
  header.rulesets_offset = layout.rulesets;
  header.splits_offset = layout.splits;
  header.workers_offset = layout.workers;
  header.buckets_offset = layout.buckets;
  // The word stays 0 and names slots 0. They are zeroed, so the segment has no service until the first
  // publication.
  auto* qsbr = reinterpret_cast<rte_rcu_qsbr*>(static_cast<char*>(file.base()) + layout.qsbr);
  if (rte_rcu_qsbr_init(qsbr, kWorkerSlots) != 0)
    return tl::make_unexpected(std::string("rte_rcu_qsbr_init failed on the new segment"));
  // Pairs with the acquire load in defect().
  header.state.store(kSegmentReady, std::memory_order_release);
  return {};
}

}  // namespace

tl::expected<Segment::Opened, std::string> Segment::open_or_create(const Options& options) {
  const SegmentPaths paths = SegmentPaths::of(options.run_dir);
  Opened opened;

  // A segment may be where the link leads, or where one would be created: the link may be missing, because
  // RUN_DIR was cleaned or a creation was killed. A link to any other file was not made by Teal and is
  // ignored.
  std::vector<std::string> candidates;
  std::error_code no_link;
  for (const std::string& path : {paths.huge, paths.tmpfs})
    if (std::filesystem::equivalent(paths.link, path, no_link)) candidates.push_back(path);
  if (!paths.huge.empty() && options.try_huge_pages) candidates.push_back(paths.huge);
  candidates.push_back(paths.tmpfs);

  for (const std::string& path : candidates) {
    if (access(path.c_str(), F_OK) != 0) continue;
    auto file = SegmentFile::open(path);
    if (!file) return tl::make_unexpected(file.error());
    if (!file->lock()) return tl::make_unexpected(in_use(path));
    std::string wrong = defect(*file);
    if (wrong.empty()) wrong = mismatch(*static_cast<SegmentHeader*>(file->base()), options);
    if (wrong.empty() && !opened.notice.empty()) wrong = "it is older than the segment that was set aside";
    if (wrong.empty()) {
      opened.segment = Segment(std::move(*file));
      opened.path = path;
      break;
    }
    if (auto done = set_aside(path); !done) return tl::make_unexpected(done.error());
    if (!opened.notice.empty()) opened.notice += "; ";
    opened.notice.append(path).append(" set aside as ").append(aside_path(path));
    opened.notice.append(", its flows are lost: ").append(wrong);
  }

  if (opened.segment.file_.base() == nullptr) {
    const auto geometry = FlowTable::Geometry::for_capacity(options.flow_capacity, options.partitions);
    const Layout layout = Layout::of(geometry);
    auto file = new_file(paths, options, layout.bytes, &opened);
    if (!file) return tl::make_unexpected(file.error());
    if (!file->lock()) return tl::make_unexpected(in_use(opened.path));
    if (auto filled = fill(*file, options, geometry, layout); !filled)
      return tl::make_unexpected(filled.error());
    opened.segment = Segment(std::move(*file));
    opened.created = true;
  }
  opened.segment.header().counted_epoch.store(0, std::memory_order_relaxed);
  forget_readers(opened.segment);
  if (!opened.segment.is_current(options.run_dir))
    if (auto placed = place_link(paths.link, opened.path); !placed)
      return tl::make_unexpected(placed.error());
  return opened;
}

tl::expected<Segment, std::string> Segment::attach(const std::string& run_dir) {
  const std::string link = SegmentPaths::of(run_dir).link;
  if (access(link.c_str(), F_OK) != 0)
    return tl::make_unexpected(link + ": " + std::strerror(errno) +
                               ", expected the segment that teal-dataplane makes when it starts");
  auto file = SegmentFile::open(link, true);
  if (!file) return tl::make_unexpected(file.error());
  if (const std::string wrong = defect(*file); !wrong.empty())
    return tl::make_unexpected(link + ": " + wrong);
  return Segment(std::move(*file));
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

FlowTable Segment::flow_table() const {
  return {header().geometry, reinterpret_cast<FlowTable::Bucket*>(at(header().buckets_offset)),
          header().hash_seed};
}

bool Segment::is_current(const std::string& run_dir) const {
  return file_.is_at(SegmentPaths::of(run_dir).link);
}

}  // namespace teal
