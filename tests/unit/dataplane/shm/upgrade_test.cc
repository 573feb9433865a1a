// SPDX-License-Identifier: Apache-2.0
//
// Starts of a dataplane of another release, or with another size of the flow table.
#include <filesystem>

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/resource.h>

#include "segment_fixture.h"

namespace teal {
namespace {

// Chance decides how many flows a smaller table takes, so tests that need all of them leave room.
constexpr uint16_t kFlows = 500;

// A layout of the flows that differs needs another kFlowsVersion, and a start that takes over the one before.
TEST(FlowsVersion, LayoutBelongsToVersion1) {
  EXPECT_EQ(kFlowsVersion, 1u);
  EXPECT_EQ(flows_layout(), 0xa9f1af5c98d0785b) << std::hex << flows_layout();
}

TEST_F(SegmentTest, OtherCapacityMovesTheFlows) {
  make();
  put_flows(kFlows);
  for (const uint64_t capacity : {50'000u, 1000u}) {
    options_.flow_capacity = capacity;
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_FALSE(opened->created);
    EXPECT_EQ(flows_of(opened->segment), kFlows);
    EXPECT_EQ(opened->segment.flows().flow_capacity, capacity);
    EXPECT_TRUE(contains(opened->notice, "500 flows moved from " + (dir_ / "flows.tmpfs")));
    EXPECT_TRUE(contains(opened->notice, "expected " + std::to_string(capacity)));
    EXPECT_FALSE(contains(opened->notice, "lost"));
  }
}

TEST_F(SegmentTest, OtherSeedMovesTheFlows) {
  options_.hash_seed = 42;
  make();
  put_flows(kFlows);
  options_.hash_seed = 43;
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_TRUE(contains(opened->notice, "hash_seed is 42, expected 43"));
  EXPECT_EQ(opened->segment.flows().hash_seed, 43u);
  EXPECT_EQ(flows_of(opened->segment), kFlows);
}

TEST_F(SegmentTest, OtherGeometryMovesTheFlows) {
  make();
  put_flows(kFlows);
  options_.partitions = 32;
  const auto opened = open();
  EXPECT_TRUE(contains(opened->notice, "lays out flow_capacity 1000 in another way"));
  EXPECT_EQ(flows_of(opened->segment), kFlows);
}

TEST_F(SegmentTest, FlowsThatASmallerTableHasNoRoomForAreCounted) {
  options_.flow_capacity = 20'000;
  make();
  put_flows(20'000);
  options_.flow_capacity = 1000;
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  uint64_t kept = 0;
  const FlowTable table = opened->segment.flow_table();
  for (uint64_t bucket = 0; bucket < table.geometry().buckets(); ++bucket)
    table.for_each_in_bucket(bucket, [&](FlowIndex, const Flow&) { ++kept; });
  EXPECT_GE(kept, 1000u);
  EXPECT_TRUE(contains(opened->notice, std::to_string(kept) + " flows moved"));
  EXPECT_TRUE(contains(opened->notice, std::to_string(20'000 - kept) + " had no place and are lost"));
}

TEST_F(SegmentTest, MovedFlowsKeepTheirLastHopsAndPorts) {
  make();
  const Hop hop{.port = 3, .mac = {{2, 0, 0, 0, 0, 9}}};
  const IpAddress client = *IpAddress::parse("198.18.3.1");
  uint16_t id = 0;
  {
    const auto segment = Segment::attach(dir_.path());
    id = *last_hop_id(segment->flows(), hop, client);
    segment->flows().last_hop_origins[id].known = 1;
    std::strcpy(segment->flows().port_names[3], "front");
  }
  options_.flow_capacity = 2000;
  const auto opened = open();
  const FlowsHeader& moved = opened->segment.flows();
  EXPECT_EQ(moved.last_hops[id].load(), hop.word());
  EXPECT_EQ(moved.last_hop_origins[id].client[1].load(), client.word(1));
  EXPECT_EQ(moved.last_hop_origins[id].known.load(), 1);
  EXPECT_STREQ(moved.port_names[3], "front");
}

TEST_F(SegmentTest, MovedFlowsKeepTheTickOfTheLatestFailedInsert) {
  make();
  Segment::attach(dir_.path())->flows().last_insert_failure_tick = 77;
  options_.flow_capacity = 2000;
  EXPECT_EQ(open()->segment.flows().last_insert_failure_tick.load(), 77u);
}

// A sized host may have no room for a second table.
TEST_F(SegmentTest, WithoutRoomForAnotherTableTheFlowsStay) {
  make();
  put_flows(kFlows);
  struct rlimit limit {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const struct rlimit small { 8 << 20, limit.rlim_max };
  signal(SIGXFSZ, SIG_IGN);
  options_.flow_capacity = 1'000'000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto opened = open();
  setrlimit(RLIMIT_FSIZE, &limit);
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(flows_of(opened->segment), kFlows);
  EXPECT_EQ(opened->segment.flows().flow_capacity, 1000u);
  EXPECT_TRUE(
      contains(opened->notice, "the flows stay there, as they cannot be moved (flow_capacity is 1000"));
  EXPECT_TRUE(fs::equivalent(dir_ / "flows", dir_ / "flows.tmpfs"));
}

// As after an upgrade: the file is of another ABI, and the versions of some parts differ.
class OtherReleaseTest : public SegmentTest {
 protected:
  void SetUp() override {
    make();
    put_flows(kFlows);
    const auto segment = Segment::attach(dir_.path());
    SegmentHeader& header = segment->header();
    segment->flows().generation = 7;
    segment->ruleset(2) = *ruleset();
    segment->splits(9).services[2].flip_generation = 77;
    segment->worker(4).count(Event::k_rx, 55);
    header.next_hops[3] = 12345;
    header.held_back[3] = 17;
    header.word = PublicationWord{7, 2, 9}.pack();
    header.published[6] = 6;
    header.acknowledged = 7;
    header.abi = 1;
  }
  void change_version(PartId id) {
    const auto file = SegmentFile::open(file_);
    static_cast<SegmentHeader*>(file->base())->parts[static_cast<size_t>(id)].version = 1;
  }
  bool has_rules(const Segment& segment) const {
    return PublicationWord::unpack(segment.header().word).generation == 7;
  }
};

TEST_F(OtherReleaseTest, KeepsWhatHasTheSameVersion) {
  EXPECT_FALSE(Segment::attach(dir_.path()));
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  const Segment& segment = opened->segment;
  EXPECT_EQ(flows_of(segment), kFlows);
  ASSERT_TRUE(has_rules(segment));
  EXPECT_EQ(segment.ruleset(2).backends[3].service, 2);
  EXPECT_EQ(segment.splits(9).services[2].flip_generation, 77u);
  EXPECT_EQ(segment.header().published[6].load(), 6u);
  EXPECT_EQ(segment.header().acknowledged.load(), 7u);
  EXPECT_EQ(segment.header().next_hops[3].load(), 12345u);
  EXPECT_EQ(segment.header().held_back[3].load(), 17);
  EXPECT_EQ(segment.worker(4).events[static_cast<size_t>(Event::k_rx)].read(), 55u);
  EXPECT_EQ(segment.header().most_workers.load(), 5u);
  EXPECT_TRUE(contains(opened->notice, "segment.tmpfs replaced: ABI is 0x0000000000000001"));
  EXPECT_TRUE(Segment::attach(dir_.path()));
}

TEST_F(OtherReleaseTest, AnotherCounterKeepsTheRules) {
  change_version(PartId::kCounters);
  const auto opened = open();
  EXPECT_TRUE(has_rules(opened->segment));
  EXPECT_EQ(flows_of(opened->segment), kFlows);
  EXPECT_EQ(opened->segment.worker(4).events[static_cast<size_t>(Event::k_rx)].read(), 0u);
}

TEST_F(OtherReleaseTest, AStartTellsWhatItDidNotFind) {
  const auto notice_without = [&](const std::string& name) {
    remove_files();
    SetUp();
    fs::remove(dir_ / name);
    fs::remove(dir_ / (name + ".tmpfs"));
    const auto opened = open();
    EXPECT_TRUE(opened);
    EXPECT_TRUE(opened->flows_on_tmpfs);
    return opened->notice;
  };
  EXPECT_TRUE(
      contains(notice_without("flows"), "; no flows were found beside the segment: the table is empty"));
  EXPECT_EQ(notice_without("segment"),
            "no rules were kept: until teald publishes only existing flows are forwarded");
}

// Rules and targets name each other: none is kept alone.
TEST_F(OtherReleaseTest, OtherRulesOrTargetsLeaveRulesForTheFlowsAlone) {
  for (const PartId id : {PartId::kRulesets, PartId::kTargets, PartId::kPublication}) {
    remove_files();
    SetUp();
    change_version(id);
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_FALSE(has_rules(opened->segment));
    EXPECT_EQ(flows_of(opened->segment), kFlows);
    EXPECT_TRUE(contains(opened->notice, "until teald publishes"));
    const Ruleset& rules = opened->segment.ruleset(0);
    EXPECT_EQ(rules.find_service(ruleset()->services[2].vip), 2);
    EXPECT_EQ(rules.find_backend(ruleset()->backends[3].socket), 3);
    EXPECT_TRUE(rules.is_service_address(ruleset()->services[2].vip.address));
    EXPECT_EQ(rules.backends[3].service, 2);
    EXPECT_EQ(rules.timeouts.tcp_half_closed, 300u);
    EXPECT_EQ(rules.services[2].pools[0].size, 0u);
    EXPECT_EQ(opened->segment.header().next_hops[3].load(), 12345u) << "existing flows have a hop";
  }
}

TEST_F(OtherReleaseTest, PartsOutsideTheFileAreNotRead) {
  {
    const auto file = SegmentFile::open(file_);
    auto& header = *static_cast<SegmentHeader*>(file->base());
    for (SegmentPart& part : header.parts) part.offset = ~uint64_t{0} - 8;
  }
  const auto opened = open();
  EXPECT_FALSE(has_rules(opened->segment));
  EXPECT_EQ(flows_of(opened->segment), kFlows);
}

TEST_F(OtherReleaseTest, FileWithoutPartsIsReplaced) {
  fs::resize_file(file_, sizeof(SegmentHeader));
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(flows_of(opened->segment), kFlows);
}

TEST(KnownIds, ReleasedIdsAreForgotten) {
  const auto ids = std::make_unique<KnownIds>();
  const auto ruleset = std::make_unique<Ruleset>();
  ruleset->backends[3] = {
      .socket = *parse_socket("198.18.2.11:8080"), .from_vip = {}, .service = 2, .flags = kBackendPresent};
  note_ids(*ruleset, *ids);
  EXPECT_EQ(ids->backends[3].known.load(), 1);
  ruleset->backends[3] = {};
  note_ids(*ruleset, *ids);
  EXPECT_EQ(ids->backends[3].known.load(), 0);
}

}  // namespace
}  // namespace teal
