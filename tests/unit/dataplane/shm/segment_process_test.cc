// SPDX-License-Identifier: Apache-2.0
//
// The segment as several processes share it, and after they are killed.
#include <filesystem>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segment_fixture.h"
#include "tests/support/rounds.h"

namespace teal {
namespace {

TEST_F(SegmentTest, TwoProcessesShareTheSegment) {
  const auto opened = open();
  ASSERT_TRUE(opened);
  const Segment& segment = opened->segment;
  const pid_t child = fork();
  if (child == 0) {
    const auto mine = Segment::attach(dir_.path());
    if (!mine) _exit(1);
    mine->splits(5).services[9].flip_generation = 77;
    mine->ruleset(3).maglev[kMaglevCapacity - 1] = 1234;
    mine->worker(31).flows[kMaxBackends - 1][1].live = 55;
    FlowTable flows = mine->flow_table();
    const FlowKey key{.client = {}, .client_port = Be16::from_host(9), .service = 2};
    flows.insert(flows.locate(key), key, 6, 8, FlowState{});
    mine->header().word.store(PublicationWord{1, 3, 5}.pack(), std::memory_order_release);
    _exit(0);
  }
  int status = 1;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(segment.header().word.load(), (PublicationWord{1, 3, 5}.pack()));
  EXPECT_EQ(segment.splits(5).services[9].flip_generation, 77u);
  EXPECT_EQ(segment.ruleset(3).maglev[kMaglevCapacity - 1], 1234);
  EXPECT_EQ(segment.worker(31).flows[kMaxBackends - 1][1].live, 55u);
  const FlowTable flows = segment.flow_table();
  uint32_t found = 0;
  for (uint64_t bucket = 0; bucket < flows.geometry().buckets(); ++bucket)
    flows.for_each_in_bucket(bucket, [&](FlowIndex, const Flow& flow) {
      ++found;
      EXPECT_EQ(flow.backend, 6);
      EXPECT_EQ(flow.client_port.host(), 9);
    });
  EXPECT_EQ(found, 1u);
}

TEST_F(SegmentTest, StartForgetsTheReadersOfAKilledDataplane) {
  const pid_t child = fork();
  if (child == 0) {
    auto opened = open();
    PublicationReader reader(opened->segment, 1);
    opened->segment.header().word.store(PublicationWord{1, 0, 0}.pack());
    reader.load();
    kill(getpid(), SIGKILL);
  }
  waitpid(child, nullptr, 0);
  {
    auto control = Segment::attach(dir_.path());
    ASSERT_TRUE(control) << control.error();
    PublicationWriter writer(*control);
    EXPECT_FALSE(writer.grace_period_over());
    EXPECT_EQ(writer.adoption(true).live, 1u);
    auto opened = open();
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_FALSE(opened->created);
    EXPECT_TRUE(writer.grace_period_over());
    EXPECT_EQ(writer.adoption(true).live, 0u);
    EXPECT_EQ(writer.current().generation, 1u);
  }
}

// With a sanitizer, a kill takes ten times as long: each seventh one shows it all.
constexpr int kStep = test::rounds(10) == 10 ? 1 : 7;

// Runs `work` in a child and kills it at each of its system calls, one after another. Calls `after` after
// each kill, and after the run that was not killed. Returns the number of system calls; 0 where ptrace does
// not work.
template <typename Work, typename After>
int kill_at_each_call(Work work, After after) {
  for (int calls = 0;; calls += kStep) {
    const pid_t child = fork();
    if (child == 0) {
      if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(77);
      raise(SIGSTOP);
      _exit(work() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status)) return 0;
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_EXITKILL);
    bool finished = false;
    for (int call = 0; call < calls && !finished; ++call) {
      ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
      waitpid(child, &status, 0);
      finished = WIFEXITED(status);
    }
    if (!finished) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
    }
    after();
    if (finished) return calls;
  }
}

TEST_F(SegmentTest, KilledCreationLeavesNothingThatIsUsed) {
  options_.reserve = false;
  const auto make_one = [this] { return open().has_value(); };
  const auto look = [this] {
    if (const auto attached = Segment::attach(dir_.path()); !attached) {
      EXPECT_TRUE(contains(attached.error(), "No such file"));
    }
    {
      const auto opened = open();
      ASSERT_TRUE(opened) << opened.error();
      EXPECT_EQ(opened->notice, "");
      EXPECT_TRUE(opened->segment.is_current(dir_.path()));
    }
    EXPECT_TRUE(Segment::attach(dir_.path()));
    EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), {}), 4) << "a file is left";
    remove_files();
  };
  const int kills = kill_at_each_call(make_one, look);
  if (kills == 0) GTEST_SKIP() << "ptrace does not work here";
  EXPECT_GE(kills, 20);
}

class KilledStart : public SegmentTest {
 protected:
  void SetUp() override {
    options_.reserve = false;
    make();
    put_flows(200);
  }
  // Kills a start that makes other files. The next start makes other files again.
  template <typename Start>
  void expect_no_flow_lost(Start start) {
    const auto run = [&] { return start().has_value(); };
    const auto look = [&] {
      const auto opened = start();
      ASSERT_TRUE(opened) << opened.error();
      EXPECT_EQ(flows_of(opened->segment), 200u);
    };
    const int kills = kill_at_each_call(run, look);
    if (kills == 0) GTEST_SKIP() << "ptrace does not work here";
    EXPECT_GE(kills, 20);
  }
};

TEST_F(KilledStart, ThatMovesTheFlowsLosesNone) {
  expect_no_flow_lost([this] {
    options_.flow_capacity = options_.flow_capacity == 1000 ? 2000 : 1000;
    return open();
  });
}

TEST_F(KilledStart, OfAnotherReleaseLosesNoFlow) {
  expect_no_flow_lost([this] {
    const auto file = SegmentFile::open(file_);
    auto& header = *static_cast<SegmentHeader*>(file->base());
    ++header.abi;
    for (SegmentPart& part : header.parts) part.version = 1;  // copies nothing: that takes time
    return open();
  });
}

}  // namespace
}  // namespace teal
