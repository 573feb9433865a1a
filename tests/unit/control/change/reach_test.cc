// SPDX-License-Identifier: Apache-2.0
//
// A flip to a colour that cannot serve is refused where Teal knows it, and warned of where it does not.
#include <fstream>

#include <unistd.h>

#include "tests/unit/control/change/change_fixture.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

class ReachTest : public ChangeFixture {
 protected:
  static constexpr Colour kBlue = Colour::kBlue, kGreen = Colour::kGreen;

  ReachTest() {
    start_dataplane();
    start_teald();
  }

  uint16_t id_of(const std::string& address) {
    for (const BackendState& backend : teald->executor.catalogue().inventory().backends)
      if (to_string(backend.socket) == address) return backend.id;
    ADD_FAILURE() << "no backend " << address;
    return 0;
  }
  void set_problem(const std::string& address, HopProblem problem, uint32_t dataplane_pid = ::getpid()) {
    teald->hop_states.set(id_of(address), {.problem = problem,
                                           .ifindex = 999'999,
                                           .neighbour = tcp(address).address,
                                           .since = clock.now(),
                                           .dataplane_pid = dataplane_pid});
  }
  Result flip_with_force(const std::string& service, Colour to) {
    RolloutRequest request{
        .verb = RolloutRequest::Verb::kFlip, .what = {{service}, {}}, .to = to, .force = true};
    return teald->run(teald->verbs.roll(std::move(request), {}));
  }
  void check_service_a() {
    std::string toml = kShopToml;
    toml.insert(toml.find("[[service]]\nname = \"service-b\""), "[service.check]\nkind = \"http\"\n\n");
    std::ofstream(dir.file("teal.toml")) << toml;
    ASSERT_TRUE(reload());
    ASSERT_TRUE(teald->health.follow(teald->executor.catalogue()));
  }
  Result flip_shop(Colour to) {
    RolloutRequest request{.verb = RolloutRequest::Verb::kFlip, .what = {{}, "shop"}, .to = to};
    return teald->run(teald->verbs.roll(std::move(request), {}));
  }
};

TEST_F(ReachTest, AFlipToAColourWithoutAnyRouteIsRefused) {
  set_problem("198.18.2.21:8080", HopProblem::kNoRoute);
  take_events();
  const Result refused = flip("service-a", kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 422u);
  EXPECT_EQ(refused.error().code, "refused");
  EXPECT_EQ(refused.error().message, "nothing was changed: no green backend of service-a can be reached");
  EXPECT_EQ(refused.error().details, std::vector<std::string>{"service-a/green/198.18.2.21:8080: no route"});
  EXPECT_EQ(service("service-a").active, kBlue);
  EXPECT_EQ(take_events(), "");
  EXPECT_FALSE(flip("service-a", kGreen, {.dry_run = true})) << "a dry run says the same";
}

TEST_F(ReachTest, AFlipToAColourBehindNoPortOfTheDataplaneIsRefused) {
  set_problem("198.18.2.21:8080", HopProblem::kNoPort);
  const Result refused = flip("service-a", kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "refused");
  EXPECT_EQ(
      refused.error().details,
      std::vector<std::string>{"service-a/green/198.18.2.21:8080: the route leaves by interface 999999, "
                               "which is not a port"});
  EXPECT_EQ(service("service-a").active, kBlue);
  ASSERT_TRUE(flip_with_force("service-a", kGreen));
  EXPECT_EQ(service("service-a").active, kGreen);
}

// The dataplane that starts may have the port that the former one lacked.
TEST_F(ReachTest, AMissingPortOfTheFormerDataplaneIsOnlyWarnedOf) {
  set_problem("198.18.2.21:8080", HopProblem::kNoPort, 1);
  const Result flipped = flip("service-a", kGreen);
  ASSERT_TRUE(flipped) << flipped.error().message;
  ASSERT_EQ(flipped->warnings.size(), 1u);
  EXPECT_TRUE(flipped->warnings[0].ends_with("which is not a port)")) << flipped->warnings[0];
}

TEST_F(ReachTest, ANeighbourIsGivenTwoSecondsToAnswer) {
  set_problem("198.18.2.21:8080", HopProblem::kNoAnswer);
  const Clock::Time asked = clock.now();
  const Result refused = flip("service-a", kGreen);
  ASSERT_FALSE(refused) << "not even directly after a reload";
  EXPECT_EQ(refused.error().details[0],
            "service-a/green/198.18.2.21:8080: no answer from 198.18.2.21 on interface 999999");
  EXPECT_GE(clock.now() - asked, 1999ms);
}

TEST_F(ReachTest, AFlipGoesOnAsSoonAsANeighbourAnswers) {
  set_problem("198.18.2.21:8080", HopProblem::kNoAnswer);
  const Clock::Time asked = clock.now();
  clock.on_sleep = [&] {
    if (clock.now() - asked > 500ms) set_problem("198.18.2.21:8080", HopProblem::kNone);
    dataplane->step();
  };
  EXPECT_TRUE(flip("service-a", kGreen));
  EXPECT_LT(clock.now() - asked, 1000ms);
}

TEST_F(ReachTest, ForceFlipsAllTheSameAndWarns) {
  set_problem("198.18.2.21:8080", HopProblem::kNoRoute);
  const Result forced = flip_with_force("service-a", kGreen);
  ASSERT_TRUE(forced) << forced.error().message;
  EXPECT_EQ(service("service-a").active, kGreen);
  EXPECT_EQ(forced->warnings,
            std::vector<std::string>{
                "service-a: 1 of 1 green backends has no next hop: 198.18.2.21:8080 (no route)"});
}

TEST_F(ReachTest, OneServiceThatCannotServeRefusesTheWholeGroup) {
  set_problem("[fd18:2::21]:8080", HopProblem::kNoRoute);
  const Result refused = flip_shop(kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "nothing was changed: no green backend of service-b can be reached");
  EXPECT_EQ(service("service-a").active, kBlue);
}

TEST_F(ReachTest, ARefusalNamesTheDeadServicesAndThoseThatAreTooSmall) {
  write_with("min_capacity = \"50%\"", "min_capacity = \"80%\"");
  ASSERT_TRUE(reload());
  set_problem("[fd18:2::21]:8080", HopProblem::kNoRoute);
  const Result refused = flip_shop(kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().message,
      "nothing was changed: no green backend of service-b can be reached; green is too small in service-a");
  EXPECT_EQ(
      refused.error().details,
      (std::vector<std::string>{"service-b/green/[fd18:2::21]:8080: no route",
                                "service-a: the healthy weight of green is 1, that of blue is 2: this is "
                                "50%, and min_capacity is 80%"}));
}

TEST_F(ReachTest, ARefusalNamesTheLockAndTheClosedGates) {
  set_problem("198.18.2.21:8080", HopProblem::kNoRoute);
  ASSERT_TRUE(lock({.reason = "audit"}));
  for (const bool dry_run : {false, true}) {
    const Result refused = flip("service-a", kGreen, {.dry_run = dry_run});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "locked");
    EXPECT_NE(refused.error().message.find(": audit; no green backend of service-a can be reached"),
              std::string::npos)
        << refused.error().message;
    EXPECT_EQ(refused.error().details,
              std::vector<std::string>{"service-a/green/198.18.2.21:8080: no route"});
  }
  ASSERT_TRUE(unlock());
  EXPECT_EQ(flip("service-a", kGreen).error().code, "refused");
}

TEST_F(ReachTest, ARollbackOnlyWarns) {
  ASSERT_TRUE(flip("service-a", kGreen));
  set_problem("198.18.2.11:8080", HopProblem::kNoRoute);
  set_problem("198.18.2.12:8080", HopProblem::kNoRoute);
  const Result back = rollback("service-a");
  ASSERT_TRUE(back);
  EXPECT_EQ(service("service-a").active, kBlue);
  EXPECT_EQ(back->warnings,
            std::vector<std::string>{"service-a: 2 of 2 blue backends have no next hop: 198.18.2.11:8080 (no "
                                     "route), 198.18.2.12:8080 (no route)"});
}

TEST_F(ReachTest, AColourThatServesInPartIsTakenWithAWarning) {
  ASSERT_TRUE(flip("service-a", kGreen));
  set_problem("198.18.2.11:8080", HopProblem::kNoRoute);
  const Result half = flip("service-a", kBlue);
  ASSERT_TRUE(half);
  ASSERT_EQ(half->warnings.size(), 2u) << "the other one: nothing undoes this flip";
  EXPECT_EQ(half->warnings[0],
            "service-a: 1 of 2 blue backends has no next hop: 198.18.2.11:8080 (no route)");
}

TEST_F(ReachTest, AFlipWarnsOfHealthThatIsNotKnownYetOrNoLonger) {
  check_service_a();
  const Result silent = flip("service-a", kGreen);
  ASSERT_TRUE(silent);
  EXPECT_EQ(silent->warnings[0], "service-a: teal-health does not report: what is known of 1 check is old");
  teald->health.prober_came();
  teald->health.prober_spoke();
  const Result early = flip("service-a", kBlue);
  ASSERT_TRUE(early);
  EXPECT_EQ(early->warnings[0], "service-a: 2 of 2 checks of blue have no result yet");
}

TEST_F(ReachTest, AColourWhoseBackendsAreDownIsRefusedWithTheReason) {
  check_service_a();
  ASSERT_TRUE(teald->health.take({.revision = teald->health.list().revision,
                                  .backend = id_of("198.18.2.21:8080"),
                                  .reason = "HTTP 503, expected 200 to 399"}));
  const Result refused = flip("service-a", kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "nothing was changed: no green backend of service-a is up and can be reached");
  EXPECT_EQ(
      refused.error().details,
      std::vector<std::string>{"service-a/green/198.18.2.21:8080: down: HTTP 503, expected 200 to 399"});
  const Result forced = flip_with_force("service-a", kGreen);
  ASSERT_TRUE(forced);
  EXPECT_EQ(forced->warnings[0],
            "service-a: 1 of 1 green backends is down: 198.18.2.21:8080 (HTTP 503, expected 200 to 399)");
}

TEST_F(ReachTest, AColourBelowMinCapacityIsRefused) {
  write_with("min_capacity = \"50%\"", "min_capacity = \"80%\"");
  ASSERT_TRUE(reload());
  const Result refused = flip("service-a", kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "nothing was changed: green is too small in service-a");
  EXPECT_EQ(
      refused.error().details,
      std::vector<std::string>{"service-a: the healthy weight of green is 1, that of blue is 2: this is "
                               "50%, and min_capacity is 80%"});
  EXPECT_TRUE(flip_with_force("service-a", kGreen));
  set_problem("198.18.2.11:8080", HopProblem::kNoRoute);
  set_problem("198.18.2.12:8080", HopProblem::kNoRoute);
  EXPECT_TRUE(rollback("service-a")) << "the way back needs no capacity";
}

TEST_F(ReachTest, AColourIsComparedWithWhatIsLeftOfTheOtherOne) {
  write_with("min_capacity = \"50%\"", "min_capacity = \"100%\"");
  ASSERT_TRUE(reload());
  ASSERT_FALSE(flip("service-a", kGreen));
  set_problem("198.18.2.11:8080", HopProblem::kNoRoute);
  EXPECT_TRUE(flip("service-a", kGreen)) << "blue is no larger now";
}

TEST_F(ReachTest, ARefusalListsAllReasons) {
  write_with("min_capacity = \"50%\"", "min_capacity = \"80%\"");
  ASSERT_TRUE(reload());
  set_problem("[fd18:2::21]:8080", HopProblem::kNoRoute);
  const Result refused = flip_shop(kGreen);
  ASSERT_FALSE(refused);
  ASSERT_EQ(refused.error().details.size(), 2u);
  EXPECT_EQ(refused.error().details[0], "service-b/green/[fd18:2::21]:8080: no route");
  EXPECT_TRUE(refused.error().details[1].starts_with("service-a: the healthy weight of green is 1"));
}

TEST_F(ReachTest, ABackendThatTakesNoFlowsIsNotAskedOf) {
  ASSERT_TRUE(flip("service-a", kGreen));
  set_problem("198.18.2.11:8080", HopProblem::kNoRoute);
  ASSERT_TRUE(set_backend("198.18.2.11:8080", AdminState::kMaint));
  const Result well = flip("service-a", kBlue);
  ASSERT_TRUE(well);
  ASSERT_EQ(well->warnings.size(), 1u);
  EXPECT_EQ(well->warnings[0],
            "this flip takes back the flip of generation 2 in service-a, so no rollback undoes it, Teal does "
            "not judge it, and neither pre_flip nor min_capacity is asked");
}

TEST_F(ReachTest, WithoutADataplaneADryRunAndAFlipOfNothingWarnToo) {
  dataplane->die();
  const Result dry_run = flip("service-a", kGreen, {.dry_run = true});
  ASSERT_TRUE(dry_run);
  EXPECT_EQ(dry_run->warnings.size(), 1u);
  const Result nothing = flip("service-a", kBlue);
  ASSERT_TRUE(nothing);
  EXPECT_EQ(nothing->warnings.size(), 1u);
}

TEST_F(ReachTest, WithoutADataplaneAFlipIsMadeWithAWarning) {
  set_problem("198.18.2.21:8080", HopProblem::kNoRoute);  // of the dataplane that has ended
  dataplane->die();
  const Result blind = flip("service-a", kGreen);
  ASSERT_TRUE(blind);
  EXPECT_EQ(blind->warnings,
            std::vector<std::string>{
                "no dataplane is running: new flows follow this change when one starts, and Teal does not "
                "know which backends it will reach"});
}

}  // namespace
}  // namespace teal
