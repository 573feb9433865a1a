// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/segment.h"

#include <filesystem>
#include <vector>

#include <gtest/gtest.h>
#include <rte_rcu_qsbr.h>

#include "segment_fixture.h"

namespace teal {
namespace {

TEST_F(SegmentTest, CreatesThenAttaches) {
  uint64_t seed = 0;
  {
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_TRUE(opened->created);
    EXPECT_EQ(opened->notice, "");
    EXPECT_EQ(opened->path, file_);
    EXPECT_EQ(opened->segment.flows().flow_capacity, 1000u);
    EXPECT_EQ(opened->segment.header().bytes, fs::file_size(file_));
    seed = opened->segment.flows().hash_seed;
    EXPECT_NE(seed, 0u);
    opened->segment.header().acknowledged = 7;
  }
  const auto again = open();
  ASSERT_TRUE(again) << again.error();
  EXPECT_FALSE(again->created);
  EXPECT_EQ(again->notice, "");
  EXPECT_EQ(again->segment.flows().hash_seed, seed);
  EXPECT_EQ(again->segment.header().acknowledged, 7u);
}

TEST_F(SegmentTest, PartsLieApartAndAligned) {
  const auto opened = open();
  ASSERT_TRUE(opened);
  const Segment& segment = opened->segment;
  std::vector<std::pair<const void*, uint64_t>> parts = {
      {&segment.header(), sizeof(SegmentHeader)}, {segment.qsbr(), rte_rcu_qsbr_get_memsize(kWorkerSlots)}};
  for (uint32_t i = 0; i < kRulesetSlots; ++i) parts.emplace_back(&segment.ruleset(i), sizeof(Ruleset));
  for (uint32_t i = 0; i < kSplitSlots; ++i) parts.emplace_back(&segment.splits(i), sizeof(TrafficSplits));
  for (uint32_t i = 0; i < kWorkerSlots; ++i) parts.emplace_back(&segment.worker(i), sizeof(WorkerBlock));
  const SegmentHeader& header = segment.header();
  const auto* base = reinterpret_cast<const char*>(&header);
  const char* end = base;
  for (const auto& [start, bytes] : parts) {
    EXPECT_GE(static_cast<const char*>(start), end);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(start) % 8, 0u);
    end = static_cast<const char*>(start) + bytes;
  }
  EXPECT_LE(end, base + header.bytes);
  const FlowsHeader& flows = segment.flows();
  EXPECT_GE(flows.buckets_offset, sizeof(FlowsHeader));
  EXPECT_EQ(flows.bytes, flows.buckets_offset + flows.geometry.bytes());
  for (const void* aligned :
       {static_cast<const void*>(segment.qsbr()), static_cast<const void*>(&segment.worker(1)),
        static_cast<const void*>(reinterpret_cast<const char*>(&flows) + flows.buckets_offset)})
    EXPECT_EQ(reinterpret_cast<uintptr_t>(aligned) % 64, 0u);
}

TEST_F(SegmentTest, ConfiguredSeedIsKept) {
  options_.hash_seed = 42;
  make();
  options_.hash_seed = 0;  // keeps the seed
  EXPECT_EQ(open()->segment.flows().hash_seed, 42u);
  EXPECT_FALSE(open()->created);
}

TEST_F(SegmentTest, RandomSeedsDiffer) {
  make();
  const uint64_t first = open()->segment.flows().hash_seed;
  fs::remove(dir_ / "flows.tmpfs");
  EXPECT_NE(open()->segment.flows().hash_seed, first);
}

TEST_F(SegmentTest, AttachReportsAMissingSegment) {
  const auto attached = Segment::attach(dir_.path());
  ASSERT_FALSE(attached);
  EXPECT_TRUE(contains(attached.error(), "No such file"));
  EXPECT_TRUE(contains(attached.error(), dir_ / "segment"));
}

TEST_F(SegmentTest, WrongMagicIsRefused) {
  expect_refused("magic is 0x0000000000000001", [](SegmentHeader& header) { header.magic = 1; });
}

TEST_F(SegmentTest, UnfinishedIsRefused) {
  expect_refused("unfinished", [](SegmentHeader& header) { header.state = 0; });
}

TEST_F(SegmentTest, ZeroedFileIsRefusedAsUnfinished) {
  expect_refused("unfinished", [](SegmentHeader& header) {
    header.state = 0;
    header.magic = 0;
  });
}

TEST_F(SegmentTest, EmptyFileIsRefusedAsUnfinished) {
  expect_refused("unfinished", [this](SegmentHeader&) { fs::resize_file(file_, 0); });
}

TEST_F(SegmentTest, ShortFileIsRefused) {
  expect_refused("size is", [this](SegmentHeader&) { fs::resize_file(file_, fs::file_size(file_) - 4096); });
}

TEST_F(SegmentTest, WrongSizeInTheHeaderIsRefused) {
  expect_refused("size by its header", [](SegmentHeader& header) { header.bytes -= 4096; });
}

TEST_F(SegmentTest, DamagedFlowsAreRefused) {
  expect_flows_refused("geometry is damaged", [](FlowsHeader& flows) {
    flows.geometry = {0xffffffff, 0xffffffff};
  });
}

TEST_F(SegmentTest, FlowsWithAnotherMagicAreRefused) {
  expect_flows_refused("magic is 1", [](FlowsHeader& flows) { flows.magic = 1; });
}

TEST_F(SegmentTest, FlowsOfAnUnknownVersionAreRefused) {
  expect_flows_refused("version of the flows is 999, expected 1",
                       [](FlowsHeader& flows) { flows.version = 999; });
}

TEST_F(SegmentTest, FlowsWithAWrongSizeAreRefused) {
  expect_flows_refused("size by its header", [](FlowsHeader& flows) { flows.bytes -= 4096; });
}

TEST_F(SegmentTest, ShortFileOfFlowsIsRefused) {
  expect_flows_refused("size is 4096", [this](FlowsHeader&) { fs::resize_file(dir_ / "flows.tmpfs", 4096); });
}

TEST_F(SegmentTest, EmptyFileOfFlowsIsRefused) {
  expect_flows_refused("size is 0", [this](FlowsHeader&) { fs::resize_file(dir_ / "flows.tmpfs", 0); });
}

TEST_F(SegmentTest, DamagedOffsetIsRefused) {
  expect_refused("offsets are damaged", [](SegmentHeader& header) { header.workers_offset += 4096; });
}

TEST_F(SegmentTest, SecondSetAsideOverwritesTheFirst) {
  for (int round = 0; round < 3; ++round) {
    make();
    Segment::attach(dir_.path())->flows().magic = 1;
    Segment::attach(dir_.path());
  }
  ASSERT_TRUE(open());
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), {}), 5);  // two links, two files, one aside
}

TEST_F(SegmentTest, LinkLeadsToTheFileAndIsRestored) {
  make();
  for (const std::string name : {"segment", "flows"}) {
    EXPECT_TRUE(fs::is_symlink(dir_ / name));
    EXPECT_TRUE(fs::equivalent(dir_ / name, dir_ / (name + ".tmpfs")));
    fs::remove(dir_ / name);
    const auto opened = open();
    EXPECT_FALSE(opened->created);  // the flows are still there
    EXPECT_EQ(opened->notice, "");
    EXPECT_TRUE(fs::equivalent(dir_ / name, dir_ / (name + ".tmpfs")));
  }
}

TEST_F(SegmentTest, DanglingLinkIsReplaced) {
  fs::create_symlink(dir_ / "gone", dir_ / "segment");
  EXPECT_FALSE(Segment::attach(dir_.path()));
  const auto opened = open();
  EXPECT_TRUE(opened->created);
  EXPECT_TRUE(opened->segment.is_current(dir_.path()));
}

TEST_F(SegmentTest, IsCurrentUntilReplaced) {
  make();
  const auto attached = Segment::attach(dir_.path());
  ASSERT_TRUE(attached);
  EXPECT_TRUE(attached->is_current(dir_.path()));
  options_.flow_capacity = 2000;
  const auto opened = open();
  EXPECT_FALSE(attached->is_current(dir_.path()));
  EXPECT_TRUE(opened->segment.is_current(dir_.path()));
  EXPECT_EQ(attached->flows().flow_capacity, 1000u);  // the old one is still readable
  fs::remove(dir_ / "segment");
  EXPECT_FALSE(opened->segment.is_current(dir_.path()));
}

TEST_F(SegmentTest, SecondDataplaneOnTheSameFileIsRefused) {
  const auto first = open();
  ASSERT_TRUE(first);
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_TRUE(contains(second.error(), "in use by another dataplane"));
  EXPECT_TRUE(Segment::attach(dir_.path()));  // teald does not take the lock
}

TEST_F(SegmentTest, ErrorNamesAMissingRunDir) {
  options_.run_dir = "/proc/teal-cannot-be-made";
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_TRUE(contains(opened.error(), "/proc/teal-cannot-be-made"));
}

TEST(SegmentPaths, NameIsTheLastPartOfTheRunDir) {
  for (const char* run_dir : {"/run/teal", "/run/teal/", "/run/x/../teal/."}) {
    const SegmentPaths paths = SegmentPaths::of(run_dir, "segment");
    EXPECT_EQ(paths.link, "/run/teal/segment");
    EXPECT_EQ(paths.tmpfs, "/run/teal/segment.tmpfs");
    EXPECT_TRUE(paths.huge.empty() || paths.huge == "/dev/hugepages/teal/segment") << paths.huge;
  }
}

TEST(SegmentAbi, IsStable) {
  EXPECT_EQ(segment_abi(), segment_abi());
}

}  // namespace
}  // namespace teal
