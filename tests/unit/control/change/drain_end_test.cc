// SPDX-License-Identifier: Apache-2.0
//
// What answers and dry runs say of the drains that a change begins or touches.
#include "control/change/drain_end.h"

#include "tests/unit/control/change/change_fixture.h"

#include "control/loop/wall_clock.h"

namespace teal {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

constexpr const char* kVipOfA = "vip = \"198.18.0.10:80\"\n";

// The blue backends of service-a are 0 and 1, its green one is 2. Its drains reset after 2 minutes.
class DrainEnds : public ChangeFixture {
 protected:
  DrainEnds() {
    drain_is("2m", "reset");
    start_dataplane();
    start_teald();
  }
  void drain_is(const std::string& timeout, const std::string& then) {
    write_with(kVipOfA,
               std::string(kVipOfA) + "drain = { timeout = \"" + timeout + "\", then = \"" + then + "\" }\n");
  }
  static Json drains(const Result& result) {
    EXPECT_TRUE(result) << result.error().message;
    return result ? result->fields["drains"] : Json();
  }
  std::string warnings(const Result& result) {
    std::string text;
    if (result)
      for (const std::string& line : result->warnings) text += line + "\n";
    return text;
  }
  std::string in(std::chrono::milliseconds span) { return rfc3339(clock.wall_ms() + span.count()); }
};

TEST_F(DrainEnds, AFlipAndItsDryRunGiveTheDeadlineAndTheFlowsThatAreReset) {
  set_flows(0, Colour::kBlue, 5);
  set_flows(1, Colour::kBlue, 2);
  const Json expected = {{{"service", "service-a"},
                          {"colour", "blue"},
                          {"flows", 7},
                          {"deadline", in(2min)},
                          {"seconds_left", 120.0},
                          {"then", "reset"},
                          {"resets", 7}}};
  EXPECT_EQ(drains(flip("service-a", Colour::kGreen, {.dry_run = true})).dump(), expected.dump());
  EXPECT_EQ(drains(flip("service-a", Colour::kGreen)).dump(), expected.dump());
  EXPECT_EQ(drains(flip("service-a", Colour::kGreen)).dump(), "[]") << "it begins no drain";
}

TEST_F(DrainEnds, FlowsOfABackendInMaintAreResetAndDoNotStay) {
  ASSERT_TRUE(set_backend("198.18.2.12:8080", AdminState::kMaint));
  set_flows(0, Colour::kBlue, 5);
  set_flows(1, Colour::kBlue, 2);
  EXPECT_EQ(drains(flip("service-a", Colour::kGreen, {.dry_run = true}))[0]["flows"], 5);
  EXPECT_EQ(drains(flip("service-a", Colour::kGreen))[0]["flows"], 5);
}

// A commit takes time, and the deadline counts from the publication.
TEST_F(DrainEnds, TheDeadlineOfTheAnswerIsTheOneInForce) {
  set_flows(0, Colour::kBlue, 5);
  on_event = [this](const std::string& type) {
    if (type == "intended") clock.advance(700ms);
  };
  const Json told = drains(flip("service-a", Colour::kGreen));
  const Catalogue& catalogue = teald->executor.catalogue();
  const auto in_force =
      drain_of(catalogue.services()[0], catalogue, teald->publisher, teald->upkeep.trends(), clock);
  ASSERT_TRUE(in_force);
  EXPECT_EQ(told[0]["deadline"], rfc3339(in_force->deadline_ms));
}

TEST_F(DrainEnds, ARollbackAndAFlipOfAGroupGiveThemForEachServiceThatHasFlows) {
  set_flows(0, Colour::kBlue, 5);
  RolloutRequest shop{.verb = RolloutRequest::Verb::kFlip, .what = {{}, "shop"}, .to = Colour::kGreen};
  const Json begun = drains(teald->run(teald->verbs.roll(shop, {})));
  ASSERT_EQ(begun.size(), 1u) << "service-b has no flows";
  EXPECT_EQ(begun[0]["service"], "service-a");

  set_flows(2, Colour::kGreen, 3);
  for (const bool dry_run : {true, false}) {
    const Json back = drains(rollback("service-a", {.dry_run = dry_run}));
    ASSERT_EQ(back.size(), 1u);
    EXPECT_EQ(back[0]["colour"], "green");
    EXPECT_EQ(back[0]["resets"], 3) << "blue is active, and its flows stay";
  }
}

TEST_F(DrainEnds, WhereFlowsMayStayNoneIsReset) {
  drain_is("2m", "wait");
  ASSERT_TRUE(reload());
  set_flows(0, Colour::kBlue, 5);
  const Json begun = drains(flip("service-a", Colour::kGreen));
  EXPECT_EQ(begun[0]["then"], "wait");
  EXPECT_EQ(begun[0]["flows"], 5);
  EXPECT_EQ(begun[0]["resets"], 0);
}

TEST_F(DrainEnds, AFlipForgetsWhatACommandSetForTheDrainBefore) {
  set_flows(0, Colour::kBlue, 5);
  set_flows(2, Colour::kGreen, 3);
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  ASSERT_TRUE(set_drain(1h, DrainConfig::Then::kWait));
  const Json back = drains(flip("service-a", Colour::kBlue, {.dry_run = true}));
  EXPECT_EQ(back[0]["then"], "reset");
  EXPECT_EQ(back[0]["seconds_left"], 120.0);
}

TEST_F(DrainEnds, AReloadGivesThemForTheDrainsThatItTouches) {
  set_flows(0, Colour::kBlue, 5);
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  clock.advance(90s);
  drain_is("1m", "reset");
  for (const bool dry_run : {true, false}) {
    const Json shorter = drains(reload({.dry_run = dry_run}));
    ASSERT_EQ(shorter.size(), 1u);
    EXPECT_EQ(shorter[0]["seconds_left"], 0.0) << "it is over";
    EXPECT_EQ(shorter[0]["resets"], 5);
  }
  EXPECT_EQ(drains(reload()).dump(), "[]") << "nothing changes";
}

TEST_F(DrainEnds, AReloadThatRetiresADrainingBackendSaysWhenItsFlowsAreReset) {
  set_flows(1, Colour::kBlue, 5);
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  write_with("\"198.18.2.11:8080\", \"198.18.2.12:8080\"",
             "\"198.18.2.11:8080\"]\ndrain = { timeout = \"2m\", then = \"reset\" }\n# [");
  const Json left = drains(reload({.dry_run = true}));
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0]["resets"], 5);
}

// --- decision 16 ---

TEST_F(DrainEnds, AFlipThatTakesBackAnotherOneWarnsThatNothingIsLeftToUndo) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));  // generation 2
  clock.advance(10min);
  const char* const warning =
      "this flip takes back the flip of generation 2 in service-a, so no rollback undoes it, Teal does not "
      "judge it, and neither pre_flip nor min_capacity is asked\n";
  EXPECT_EQ(warnings(flip("service-a", Colour::kBlue, {.dry_run = true})), warning);
  EXPECT_EQ(warnings(flip("service-a", Colour::kBlue)), warning);
  EXPECT_EQ(rollback("service-a")->fields["nothing_to_undo"].size(), 1u) << "as it said";
}

TEST_F(DrainEnds, AReleaseAndARollbackDoNotWarnOfIt) {
  EXPECT_EQ(warnings(flip("service-a", Colour::kGreen)), "");
  EXPECT_EQ(warnings(rollback("service-a", {.dry_run = true})), "");
  clock.advance(72h);
  EXPECT_EQ(warnings(flip("service-a", Colour::kBlue)), "") << "a release of its own";
}

// --- a refused file ---

TEST_F(DrainEnds, ARefusedFileIsKnownUntilAReloadTakesAFile) {
  const auto refused = [this] { return teald->verbs.refused_file(); };
  EXPECT_FALSE(refused());
  write_with(kVipOfA, "vip = \"nowhere\"\n");
  ASSERT_FALSE(reload({.dry_run = true}));
  EXPECT_FALSE(refused()) << "a dry run changes nothing";
  ASSERT_FALSE(reload());
  ASSERT_TRUE(refused());
  EXPECT_EQ(refused()->at_ms, clock.wall_ms());
  EXPECT_NE(refused()->errors.at(0).find("vip"), std::string::npos) << refused()->errors.at(0);
  const int64_t at_ms = refused()->at_ms;
  clock.advance(1min);
  ASSERT_TRUE(lock());
  drain_is("3m", "reset");
  ASSERT_FALSE(reload());
  ASSERT_TRUE(unlock());
  ASSERT_TRUE(refused());
  EXPECT_EQ(refused()->at_ms, at_ms) << "the lock refuses the change, not the file";
  ASSERT_TRUE(reload());
  EXPECT_FALSE(refused());
}

TEST_F(DrainEnds, AFileWithoutABackendForTheActiveColourIsARefusedFile) {
  write_with("blue = [\"198.18.2.11:8080\", \"198.18.2.12:8080\"]",
             "blue = [{ address = \"198.18.2.11:8080\", weight = 0 }]");
  ASSERT_FALSE(reload());
  ASSERT_TRUE(teald->verbs.refused_file());
  EXPECT_EQ(teald->verbs.refused_file()->errors.size(), 1u);
}

}  // namespace
}  // namespace teal
