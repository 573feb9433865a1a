// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

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
  // Damages the file by `change`. Then expects that teald refuses the file and the dataplane sets it aside.
  // Both messages contain `why`.
  template <typename Change>
  void expect_refused(const std::string& why, Change&& change) {
    make();
    change(Segment::attach(dir_.path())->header());
    const auto attached = Segment::attach(dir_.path());
    ASSERT_FALSE(attached);
    EXPECT_TRUE(contains(attached.error(), why));
    EXPECT_TRUE(contains(attached.error(), dir_ / "segment"));
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_TRUE(opened->created);
    EXPECT_TRUE(contains(opened->notice, why));
    EXPECT_TRUE(contains(opened->notice, "segment.tmpfs.aside"));
    EXPECT_TRUE(fs::exists(file_ + ".aside"));
    EXPECT_TRUE(Segment::attach(dir_.path()));
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
