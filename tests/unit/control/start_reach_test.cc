// SPDX-License-Identifier: Apache-2.0
//
// The gate of reach at a start of teald, with a kernel that the test makes up.
#include "control/change/start_config.h"

#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "tests/unit/control/config/configs.h"
#include "tests/unit/control/stepped_clock.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t kStartPid = 4711;

class StartReach : public testing::Test {
 protected:
  static std::string with(const std::string& from, const std::string& to) {
    std::string toml = kShopToml;
    toml.replace(toml.find(from), from.size(), to);
    return toml;
  }
  std::optional<Refusal> lost(const std::string& toml, Colour active = Colour::kBlue) {
    const Config good = *parse_config(kShopToml, "teal.toml"), file = *parse_config(toml, "teal.toml");
    Inventory first = renumber({}, good)->inventory;
    for (ServiceState& service : first.services) service.active = active;
    Inventory then = renumber(first, file)->inventory;
    return loses_reach_at_start(Catalogue(good, std::move(first)), Catalogue(file, std::move(then)), look_);
  }

  SteppedClock clock_;
  std::map<std::string, HopProblem> problems_;
  std::vector<std::string> asked_;
  std::chrono::milliseconds paused_{0};
  StartLook look_{.hop_of =
                      [this](const IpAddress& address) {
                        asked_.push_back(address.to_string());
                        return HopState{.problem = problems_[address.to_string()],
                                        .ifindex = 999'999,
                                        .neighbour = address,
                                        .since = clock_.now(),
                                        .dataplane_pid = kStartPid};
                      },
                  .pause =
                      [this](auto time) {
                        paused_ += time;
                        clock_.advance(time);
                      },
                  .clock = clock_,
                  .dataplane_pid = kStartPid};
};

// The same file as in Reload.IsRefusedIfItLeavesAnActiveColourOutOfReach.
TEST_F(StartReach, AFileThatLeavesAnActiveColourOutOfReachIsLost) {
  const std::string typo = with("198.18.2.13:8080", "198.18.2.33:8080");
  EXPECT_FALSE(lost(typo)) << "it can be reached";
  EXPECT_EQ(paused_, 0ms);
  EXPECT_EQ(asked_, (std::vector<std::string>{"198.18.2.13", "198.18.2.33"}))
      << "no other backend is asked of";
  for (const HopProblem problem : {HopProblem::kNoRoute, HopProblem::kNoPort}) {
    problems_["198.18.2.33"] = problem;
    const auto refusal = lost(typo);
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->reason(), "no backend of blue, the active colour of service-c, can be reached");
    EXPECT_EQ(refusal->details.size(), 1u);
    EXPECT_EQ(paused_, 0ms) << "no neighbour may answer";
    EXPECT_FALSE(lost(typo, Colour::kGreen)) << "nobody uses blue";
  }
}

TEST_F(StartReach, ANeighbourIsGivenTwoSecondsToAnswer) {
  const std::string typo = with("198.18.2.13:8080", "198.18.2.33:8080");
  problems_["198.18.2.33"] = HopProblem::kNoAnswer;
  EXPECT_TRUE(lost(typo));
  EXPECT_GE(paused_, 1900ms);
  EXPECT_LE(paused_, 2100ms);
  paused_ = 0ms;
  look_.pause = [this](auto time) {
    paused_ += time;
    clock_.advance(time);
    if (paused_ >= 300ms) problems_["198.18.2.33"] = HopProblem::kNone;
  };
  EXPECT_FALSE(lost(typo));
  EXPECT_EQ(paused_, 300ms);
}

TEST_F(StartReach, TheLastBackendThatCanBeReachedIsMissed) {
  problems_["198.18.2.12"] = HopProblem::kNoAnswer;
  const std::string shorter = with("\"198.18.2.11:8080\", ", "");
  EXPECT_TRUE(lost(shorter));
  problems_["198.18.2.11"] = HopProblem::kNoRoute;
  EXPECT_FALSE(lost(shorter)) << "none could be reached before: the file may change other things";
}

// Routes may come later than teald.
TEST_F(StartReach, WhereNothingCanBeReachedNothingIsLost) {
  for (const char* address : {"198.18.2.13", "198.18.2.33"}) problems_[address] = HopProblem::kNoRoute;
  EXPECT_FALSE(lost(with("198.18.2.13:8080", "198.18.2.33:8080")));
}

TEST_F(StartReach, AFileThatChangesNoPoolWithNewFlowsAsksNothing) {
  EXPECT_FALSE(lost(with("198.18.2.23:8080", "198.18.2.43:8080"))) << "green is idle";
  EXPECT_FALSE(lost(std::string(kShopToml) + "# a comment\n"));
  EXPECT_TRUE(asked_.empty());
}

TEST_F(StartReach, TheStartGoesOnWithTheLatestGoodConfig) {
  const TempDir dir;
  const Publisher publisher(dir.file("run"));
  const std::string path = dir.file("teal.toml");
  std::ofstream(path) << with("198.18.2.13:8080", "198.18.2.33:8080");
  const auto no_errors = [](const Config&) { return ConfigErrors(); };
  const Refusal typo{422, "refused", "nothing was changed: no backend can be reached", "", {"a: no route"}};
  const auto start = [&](std::optional<Refusal> refusal) {
    return choose_config(read_config_file(path), path, std::string(kShopToml), Inventory(), publisher,
                         no_errors, [refusal](const Catalogue&, const Catalogue&) { return refusal; });
  };
  const auto held = start(typo);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->held_back, "no backend can be reached (a: no route)");
  EXPECT_EQ(held->config.text, kShopToml);
  const auto taken = start(std::nullopt);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->held_back, "");
  EXPECT_NE(taken->config.text, kShopToml);
}

}  // namespace
}  // namespace teal
