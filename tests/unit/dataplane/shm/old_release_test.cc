// SPDX-License-Identifier: Apache-2.0
//
// A start takes over the flows of the release before they had a file of their own.
// tests/upgrade/old_segment.xz is its segment; make_old_segment.cc there says what is in it.
#include "dataplane/shm/old_release.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "segment_fixture.h"

namespace teal {
namespace {

class OldReleaseTest : public SegmentTest {
 protected:
  void SetUp() override {
    const std::string unpack = "xz -dc " TEAL_OLD_SEGMENT " >" + file_;
    ASSERT_EQ(std::system(unpack.c_str()), 0);
    fs::create_symlink(file_, dir_ / "segment");
  }
  void change(uint64_t offset, uint64_t value, size_t bytes = sizeof(uint64_t)) {
    const auto file = SegmentFile::open(file_);
    std::memcpy(static_cast<char*>(file->base()) + offset, &value, bytes);
  }
  // Expects all flows of the file, each with its state as of today.
  static void expect_all_flows(const Segment& segment) {
    const FlowsHeader& flows = segment.flows();
    const FlowTable table = segment.flow_table();
    const Rules rules{segment.ruleset(0), segment.splits(0), 0};
    for (uint16_t number = 1; number <= 600; ++number) {
      const bool is_echo = number % 3 == 0;
      const FlowKey key{.client = *IpAddress::parse(is_echo ? "fd18:3::103" : "198.18.3.103"),
                        .client_port = Be16::from_host(number),
                        .service = static_cast<uint16_t>(is_echo ? 9 : 5)};
      const FlowIndex index = table.find(table.locate(key), key, rules);
      ASSERT_NE(index, kNoFlow) << number;
      EXPECT_EQ(table.backend(index), is_echo ? 30 : number % 2 == 0 ? 20 : 21);
      EXPECT_EQ(table.birth_generation(index), number);
      const FlowState state = table.state(index);
      EXPECT_EQ(state.tick, 1000u + number);
      EXPECT_EQ(state.hop_moves, 0) << number;
      EXPECT_EQ(state.preview, !is_echo && number % 7 == 0);
      EXPECT_EQ(state.phase, static_cast<FlowPhase>(is_echo ? 1 : number % 7));
      EXPECT_EQ(state.flags & ~kFlowDisplaced, is_echo ? kFlowUdp : number % 2);
      EXPECT_EQ(state.counted, 1);
      const Hop hop{.port = 0, .mac = {{2, 0, 0, 0, 1, 2}}};
      if (number % 5 == 0)
        EXPECT_EQ(state.last_hop, kNoLastHop);
      else
        EXPECT_EQ(flows.last_hops[state.last_hop].load(), hop.word());
      if (number % 5 != 0) {
        EXPECT_NE(flows.last_hop_origins[state.last_hop].client[1].load(), 0u)
            << "nobody would find its router";
      }
    }
    EXPECT_STREQ(flows.port_names[0], "front");
    EXPECT_STREQ(flows.port_names[1], "back");
    EXPECT_EQ(flows.hash_seed, 42u);
  }
};

TEST_F(OldReleaseTest, ItsFlowsAreTakenOver) {
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_FALSE(opened->created);
  EXPECT_TRUE(contains(opened->notice, "600 flows moved from " + file_ + ": it is of an older release"));
  EXPECT_FALSE(contains(opened->notice, "lost"));
  expect_all_flows(opened->segment);
  const Ruleset& rules = opened->segment.ruleset(0);
  EXPECT_EQ(rules.find_service(rules.services[5].vip), 5);
  EXPECT_EQ(rules.find_service(rules.services[5].preview), 5 + kPreviewAddress);
  EXPECT_EQ(to_string(rules.services[5].preview), "198.18.0.11:80");
  EXPECT_EQ(to_string(rules.services[9].vip), "[fd18::10]:5300");
  EXPECT_EQ(to_string(rules.backends[30].socket), "[fd18:2::11]:5300");
  EXPECT_EQ(rules.backends[30].service, 9);
  EXPECT_EQ(rules.timeouts.tcp_established, 36'000u);
  EXPECT_EQ(rules.timeouts.udp_established, 3'000u);
  EXPECT_EQ(opened->segment.flows().generation.load(), 700u);
}

TEST_F(OldReleaseTest, AnotherCapacityTakesItsFlowsOverToo) {
  options_.flow_capacity = 50'000;
  options_.hash_seed = 42;
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  expect_all_flows(opened->segment);
}

TEST_F(OldReleaseTest, AStartThatIsKilledBetweenBothFilesTakesNothingTwice) {
  const std::string copy = dir_ / "copy";
  fs::copy_file(file_, copy);
  ASSERT_TRUE(open());
  fs::remove(dir_ / "segment");
  fs::rename(copy, file_);  // the file of the flows is complete, and the old segment is not replaced yet
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  expect_all_flows(opened->segment);
  EXPECT_TRUE(contains(opened->notice, "ABI is 0x55bb39821d6bd8f4"));
}

// The result is the latest tick of all workers, and it has 64 bits as a tick has today.
TEST_F(OldReleaseTest, TheTickOfTheLatestFailedInsertIsTakenOver) {
  constexpr uint64_t kWorkers = 25'255'936, kBlock = 2'720'128, kTick = 44, kWrap = uint64_t{1} << 32;
  const auto taken_over_at = [&](uint64_t now_tick) {
    const auto old = read_old_release(*SegmentFile::open(file_), now_tick);
    return old ? old->header->last_insert_failure_tick.load() : ~uint64_t{0};
  };
  EXPECT_EQ(taken_over_at(5'000), 0u) << "there was none";
  change(kWorkers + kTick, 3'000, 4);
  change(kWorkers + 31 * kBlock + kTick, 4'000, 4);
  EXPECT_EQ(taken_over_at(5'000), 4'000u);
  EXPECT_EQ(taken_over_at(3 * kWrap + 5'000), 3 * kWrap + 4'000);
  EXPECT_EQ(taken_over_at(3 * kWrap + 3'500), 3 * kWrap + 3'000) << "4'000 is of the wrap before";
  EXPECT_EQ(taken_over_at(3'500), 3'500u) << "of another boot, or the clocks differ";
  const uint64_t before = now_ticks();
  change(kWorkers + kTick, static_cast<uint32_t>(before), 4);
  change(kWorkers + 31 * kBlock + kTick, 0, 4);
  EXPECT_EQ(open()->segment.flows().last_insert_failure_tick.load(), before);
}

// A downgrade to that release and an upgrade again: the file of the flows is older than its segment.
TEST_F(OldReleaseTest, ItsFlowsComeBeforeAnOlderFileOfFlows) {
  fs::rename(file_, dir_ / "kept");
  make();
  put_flows(100);
  for (const char* name : {"segment", "segment.tmpfs"}) fs::remove(dir_ / name);
  fs::rename(dir_ / "kept", file_);
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  expect_all_flows(opened->segment);
  EXPECT_EQ(flows_of(opened->segment), 0u);
}

TEST_F(OldReleaseTest, AShortFileIsNotRead) {
  for (const uint64_t bytes : {0u, 100u, 4'371'904u, 19'000'000u, 30'000'000u}) {
    fs::resize_file(file_, bytes);
    EXPECT_FALSE(read_old_release(*SegmentFile::open(file_), 1)) << bytes;
    remove_files();
    SetUp();
  }
}

TEST_F(OldReleaseTest, TealdRefusesItUntilTheDataplaneHasTakenItOver) {
  const auto attached = Segment::attach(dir_.path());
  ASSERT_FALSE(attached);
  EXPECT_TRUE(contains(attached.error(), "made by another version"));
}

TEST_F(OldReleaseTest, DamagedOrUnfinishedFilesAreNotTakenOver) {
  const std::pair<uint64_t, uint64_t> damages[] = {{24, 0},
                                                   {40, ~uint64_t{0}},
                                                   {40, 0},
                                                   {72, ~uint64_t{0} - 64},
                                                   {88, ~uint64_t{0} - 64},
                                                   {96, ~uint64_t{0} - 64},
                                                   {96, 1}};
  for (const auto& [offset, value] : damages) {
    remove_files();
    SetUp();
    change(offset, value);
    EXPECT_FALSE(read_old_release(*SegmentFile::open(file_), 1)) << offset;
    {
      const auto opened = open();
      ASSERT_TRUE(opened) << opened.error();
      EXPECT_TRUE(opened->created);
    }
  }
}

}  // namespace
}  // namespace teal
