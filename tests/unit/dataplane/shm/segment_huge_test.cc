// SPDX-License-Identifier: Apache-2.0
//
// The segment on huge pages. The tests are skipped if there are none.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segment_fixture.h"

namespace teal {
namespace {

class HugeSegmentTest : public SegmentTest {
 protected:
  void SetUp() override {
    struct statfs huge;
    if (statfs("/dev/hugepages", &huge) != 0 || huge.f_type != HUGETLBFS_MAGIC)
      GTEST_SKIP() << "/dev/hugepages is not a hugetlbfs";
    // statfs reports free pages only for a mount with a limit.
    page_ = static_cast<uint64_t>(huge.f_bsize);
    const std::string pool = "/sys/kernel/mm/hugepages/hugepages-" + std::to_string(page_ / 1024) + "kB/";
    uint64_t free_pages = 0, reserved = 0;
    if (std::ifstream(pool + "free_hugepages") >> free_pages &&
        std::ifstream(pool + "resv_hugepages") >> reserved)
      free_bytes_ = (free_pages - reserved) * page_;
    if (free_bytes_ < (256u << 20)) GTEST_SKIP() << "less than 256 MiB of huge pages are free";
    options_.try_huge_pages = true;
    huge_file_ = dir_.huge_directory() + "/segment";
  }
  uint64_t page_ = 0;
  uint64_t free_bytes_ = 0;
  std::string huge_file_;
};

TEST_F(HugeSegmentTest, LivesOnHugePagesAndSurvivesItsProcess) {
  const pid_t child = fork();
  if (child == 0) {
    const auto opened = open();
    if (!opened || opened->path != huge_file_ || !opened->no_huge_pages.empty()) _exit(1);
    opened->segment.worker(3).count(Event::k_rx, 9);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto attached = Segment::attach(dir_.path());
  ASSERT_TRUE(attached) << attached.error();
  EXPECT_EQ(attached->worker(3).events[static_cast<size_t>(Event::k_rx)].read(), 9u);
  EXPECT_EQ(fs::read_symlink(dir_ / "segment"), huge_file_);
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_FALSE(opened->created);
}

TEST_F(HugeSegmentTest, SegmentSetAsideStaysOnHugePages) {
  make();
  Segment::attach(dir_.path())->header().magic = 1;
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_TRUE(contains(opened->notice, huge_file_ + ".aside"));
  EXPECT_EQ(opened->path, huge_file_);
  EXPECT_TRUE(fs::exists(huge_file_ + ".aside"));
}

TEST_F(HugeSegmentTest, WithTooFewPagesTheOneSetAsideIsRemovedThenTmpfsIsUsed) {
  make();
  const std::string huge_flows = dir_.huge_directory() + "/flows";
  const uint64_t one = fs::file_size(huge_file_);
  // Another mapping reserves (without touching) all remaining pages except for half a segment.
  const uint64_t taken = free_bytes_ - fs::file_size(huge_flows) - one - one / 2 / page_ * page_;
  void* elsewhere =
      mmap(nullptr, taken, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  if (elsewhere == MAP_FAILED) GTEST_SKIP() << "another process takes huge pages at the same time";

  Segment::attach(dir_.path())->header().magic = 1;
  {
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_EQ(opened->path, huge_file_);
    EXPECT_TRUE(contains(opened->notice, huge_file_ + ".aside was removed"));
    EXPECT_FALSE(fs::exists(huge_file_ + ".aside"));
  }
  options_.flow_capacity = 3'000'000;  // the flows are larger than half a segment
  const auto opened = open();
  munmap(elsewhere, taken);
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_TRUE(contains(opened->no_huge_pages, huge_flows));
  EXPECT_EQ(fs::read_symlink(dir_ / "flows"), dir_ / "flows.tmpfs");
  EXPECT_FALSE(fs::exists(huge_flows)) << "the flows have moved";
}

}  // namespace
}  // namespace teal
