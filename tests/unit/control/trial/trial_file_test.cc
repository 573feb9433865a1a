// SPDX-License-Identifier: Apache-2.0
#include "control/trial/trial_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "tests/support/damage.h"
#include "tests/support/rounds.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

using std::string;

TrialStarts two_starts() {
  TrialStart start;
  uint64_t count = 1;
  for (TrialCells* cells : {&start.old_colour, &start.at_flip})
    for (TrialCounts& cell : *cells)
      for (const auto field : TrialCounts::kFields) cell.*field = count++;
  start.flows_per_second = 512.5;
  start.flipped_at_ms = 86'400'123;
  TrialStart forgiven = start;
  forgiven.is_forgiven = true;
  return {{{7, "service-a"}, start}, {{UINT64_MAX, "service-\"b\""}, forgiven}};
}

class TrialFile : public testing::Test {
 protected:
  void write(const string& text) const { std::ofstream(dir.file("trials.json")) << text; }
  string error() const {
    const auto read = read_trials_file(dir.path());
    return read ? "" : read.error();
  }
  TempDir dir;
};

TEST_F(TrialFile, WhatWasWrittenIsReadAgain) {
  ASSERT_TRUE(write_trials_file(dir.path(), two_starts()));
  EXPECT_EQ(read_trials_file(dir.path()), two_starts());
}

TEST_F(TrialFile, WithoutAFileNothingIsKnown) {
  EXPECT_EQ(read_trials_file(dir.path()), TrialStarts());
}

TEST_F(TrialFile, ADamagedFileIsNamedAndNotUsed) {
  const string good = trials_text(two_starts());
  const auto changed = [&](const string& what, const string& by) {
    string text = good;
    text.replace(text.find(what), what.size(), by);
    return text;
  };
  const string path = dir.file("trials.json: ");
  write("");
  EXPECT_EQ(error(), path + "it is not a JSON object");
  write(good.substr(0, good.size() / 2));
  EXPECT_EQ(error(), path + "it is not a JSON object");
  write("[1]");
  EXPECT_EQ(error(), path + "it is not a JSON object");
  write(changed("\"version\":1", "\"version\":2"));
  EXPECT_EQ(error(), path + "it has another version");
  write(changed("\"starts\"", "\"ends\""));
  EXPECT_EQ(error(), path + "it lacks a field");
  write(R"({"version":1,"starts":[7]})");
  EXPECT_EQ(error(), path + "a start is not an object");
  for (const auto& [what, by] : {std::pair("\"generation\":7", "\"generation\":-7"),
                                 {"\"service-a\"", "5"},
                                 {"512.5", "-1.5"},
                                 {"[1,2,3,4,5,6,7]", "[1,2,3,4,5,6]"},
                                 {"[1,2,3,4,5,6,7],", ""},
                                 {"[1,2,3,4,5,6,7]", "[1,2,3,4,5,6,\"7\"]"},
                                 {"[1,2,3,4,5,6,7]", "[1,2,3,4,5,6,99999999999999999999]"},
                                 {"86400123", "86400123.5"},
                                 {"\"is_forgiven\":false", "\"is_forgiven\":0"}}) {
    write(changed(what, by));
    EXPECT_EQ(error(), path + "a start lacks a field") << by;
  }
}

TEST(TrialText, RandomChangesNeverThrow) {
  const string good = trials_text(two_starts());
  std::mt19937 random(1);
  for (int i = 0; i < test::rounds(20'000); ++i) (void)parse_trials(test::damaged(good, random));
}

}  // namespace
}  // namespace teal
