// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "dataplane/shm/rules.h"
#include "dataplane/shm/segment.h"
#include "temporary_run_dir.h"

namespace teal {

namespace fs = std::filesystem;

inline testing::AssertionResult contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << part << "\" is not in \"" << text << "\"";
}

class SegmentTest : public testing::Test {
 protected:
  tl::expected<Segment::Opened, std::string> open() { return Segment::open_or_create(options_); }
  // Makes a segment and closes it.
  void make() {
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error();
    ASSERT_TRUE(opened->created);
  }
  // Damages the file "segment" by `change`. Then expects that teald refuses it, and that the dataplane sets
  // it aside. Both messages contain `why`.
  template <typename Change>
  void expect_refused(const std::string& why, Change&& change) {
    make();
    change(Segment::attach(dir_.path())->header());
    expect_set_aside(why, "segment");
  }
  // The same for the file "flows".
  template <typename Change>
  void expect_flows_refused(const std::string& why, Change&& change) {
    make();
    change(Segment::attach(dir_.path())->flows());
    expect_set_aside(why, "flows");
  }
  void expect_set_aside(const std::string& why, const std::string& name) {
    const auto attached = Segment::attach(dir_.path());
    ASSERT_FALSE(attached);
    EXPECT_TRUE(contains(attached.error(), why));
    EXPECT_TRUE(contains(attached.error(), dir_ / name));
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_TRUE(contains(opened->notice, why));
    EXPECT_TRUE(contains(opened->notice, name + ".tmpfs.aside"));
    EXPECT_TRUE(fs::exists(dir_ / (name + ".tmpfs.aside")));
    EXPECT_TRUE(Segment::attach(dir_.path()));
  }

  void remove_files() {
    for (const auto& entry : fs::directory_iterator(dir_.path())) fs::remove(entry.path());
  }
  // Puts flows of the clients 198.18.3.1:1, :2 and so on into the table, to the backend 3 of the service 2.
  void put_flows(uint16_t count) {
    const auto segment = Segment::attach(dir_.path());
    ASSERT_TRUE(segment) << segment.error();
    note_ids(*ruleset(), segment->flows().ids);
    FlowTable table = segment->flow_table();
    for (uint16_t port = 1; port <= count; ++port)
      ASSERT_NE(table.insert(table.locate(key_of(port)), key_of(port), 3, 7, state_of(port)), kNoFlow);
  }
  static FlowKey key_of(uint16_t port) {
    return {.client = *IpAddress::parse("198.18.3.1"), .client_port = Be16::from_host(port), .service = 2};
  }
  static FlowState state_of(uint16_t port) {
    FlowState state{.tick = 1000u + port, .last_hop = 5};
    state.phase = FlowPhase::kEstablished;
    state.flags = kFlowGreen;
    return state;
  }
  // How many of these flows are found, each as it was.
  static uint32_t flows_of(const Segment& segment) {
    const auto services = ruleset();
    const Rules rules{*services, segment.splits(0), 0};
    const FlowTable table = segment.flow_table();
    uint32_t found = 0;
    for (uint16_t port = 1; port <= 1000; ++port) {
      const FlowIndex index = table.find(table.locate(key_of(port)), key_of(port), rules);
      if (index == kNoFlow) continue;
      FlowState state = table.state(index);
      state.flags &= static_cast<uint8_t>(~kFlowDisplaced);
      found += state == state_of(port) && table.birth_generation(index) == 7 && table.backend(index) == 3;
    }
    return found;
  }
  // Rules with the service 2 and its backend 3.
  static std::unique_ptr<Ruleset> ruleset() {
    auto ruleset = std::make_unique<Ruleset>();
    ruleset->timeouts = {100, 200, 300, 400, 500};
    ruleset->services[2].vip = *parse_socket("198.18.0.10:80");
    ruleset->services[2].vip.protocol = kProtocolTcp;
    ruleset->services[2].flags = kServicePresent;
    ruleset->backends[3].socket = *parse_socket("198.18.2.11:8080");
    ruleset->backends[3].socket.protocol = kProtocolTcp;
    ruleset->backends[3].service = 2;
    ruleset->backends[3].flags = kBackendPresent;
    return ruleset;
  }

  TemporaryRunDir dir_;
  const std::string file_ = dir_ / "segment.tmpfs";
  Segment::Options options_{.run_dir = dir_.path(),
                            .flow_capacity = 1000,
                            .hash_seed = 0,
                            .partitions = 64,
                            .try_huge_pages = false};
};

}  // namespace teal
