// SPDX-License-Identifier: Apache-2.0
#include "dataplane/config/nearest.h"

#include <gtest/gtest.h>

namespace teal {
namespace {

constexpr std::string_view kVerbs[] = {"list", "status", "stats", "flip", "flows", "rollback"};
constexpr std::string_view kFields[] = {"vip", "active", "affinity", "workers"};

TEST(Nearest, FindsMistypedWords) {
  EXPECT_EQ(nearest("filp", kVerbs), "flip");
  EXPECT_EQ(nearest("rolback", kVerbs), "rollback");
  EXPECT_EQ(nearest("statsu", kVerbs), "status");
  EXPECT_EQ(nearest("actve", kFields), "active");
  EXPECT_EQ(nearest("workres", kFields), "workers");
  EXPECT_EQ(nearest("vpi", kFields), "vip");
}

TEST(Nearest, FindsHalfTypedWords) {
  EXPECT_EQ(nearest("roll", kVerbs), "rollback");
  EXPECT_EQ(nearest("aff", kFields), "affinity");
  EXPECT_EQ(nearest("a", kFields), std::nullopt);
}

TEST(Nearest, FindsNothingFarAway) {
  EXPECT_EQ(nearest("xyzzy", kVerbs), std::nullopt);
  EXPECT_EQ(nearest("xyp", kFields), std::nullopt);  // 2 of 3 letters
  EXPECT_EQ(nearest("colour", kFields), std::nullopt);
  EXPECT_EQ(nearest("", kFields), std::nullopt);
  EXPECT_EQ(nearest(std::string(65, 'a'), kFields), std::nullopt);
}

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(edit_distance("bleu", "blue"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("flip", "flip"), 0u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Nearest, HintFallsBackToTheGivenText) {
  EXPECT_EQ(nearest_hint("filp", kVerbs, "teal help"), "did you mean \"flip\"?");
  EXPECT_EQ(nearest_hint("xyzzy", kVerbs, "teal help"), "teal help");
}

}  // namespace
}  // namespace teal
