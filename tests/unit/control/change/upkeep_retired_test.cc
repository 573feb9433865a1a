// SPDX-License-Identifier: Apache-2.0
//
// Tests when upkeep releases the ids of backends and services that have left the config.
#include "control/change/upkeep.h"

#include "tests/unit/control/change/change_fixture.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

class UpkeepOfRetired : public ChangeFixture {
 protected:
  // The backend 198.18.2.12:8080, which has id 1, left the config.
  UpkeepOfRetired() {
    start_dataplane();
    start_teald();
    write_with(", \"198.18.2.12:8080\"", "");
    EXPECT_TRUE(reload());
    take_events();
  }
  bool in_segment() { return (*dataplane)->ruleset().find_backend(tcp("198.18.2.12:8080")) == 1; }
  bool in_database() { return teald->state().load()->has_retired(); }
};

TEST_F(UpkeepOfRetired, AnIdIsReleasedAfterTwoLooksAndForgottenAfterAGracePeriod) {
  tidy();
  EXPECT_EQ(take_events(), "") << "one look is not enough";
  EXPECT_TRUE(in_segment());
  tidy();
  EXPECT_EQ(take_events(), "published adopted done released");
  EXPECT_FALSE(in_segment());
  EXPECT_TRUE(in_database()) << "a start in between finds it held";
  clock.on_sleep = [] {};
  EXPECT_FALSE(flip("service-a", Colour::kGreen)) << "the worker stalls: no grace period ends";
  tidy();
  EXPECT_TRUE(in_database());
  dataplane->step();
  tidy();
  EXPECT_FALSE(in_database());
  EXPECT_EQ(told("backends"), R"(["198.18.2.12:8080"])");
  EXPECT_EQ(told("count"), "1");
}

TEST_F(UpkeepOfRetired, AFlowHoldsAnId) {
  set_flows(1, Colour::kBlue, 1);
  for (int look = 0; look < 5; ++look) tidy();
  EXPECT_TRUE(in_segment());
  set_flows(1, Colour::kBlue, 0);
  tidy();
  set_flows(1, Colour::kBlue, 1);  // a flow between two looks
  tidy();
  set_flows(1, Colour::kBlue, 0);
  tidy();
  EXPECT_TRUE(in_segment()) << "two looks in a row";
  tidy();
  EXPECT_FALSE(in_segment());
}

TEST_F(UpkeepOfRetired, WhileTheDataplaneIsDownTheCountsAreNotTrusted) {
  dataplane->die();
  for (int look = 0; look < 3; ++look) tidy();
  EXPECT_EQ(take_events(), "");
}

TEST_F(UpkeepOfRetired, BeforeAStartHasCountedTheFlowsTheCountsAreNotTrusted) {
  std::atomic<uint64_t>& counted = (*dataplane)->segment().header().counted_epoch;
  const uint64_t epoch = counted.exchange(0);
  for (int look = 0; look < 3; ++look) tidy();
  EXPECT_EQ(take_events(), "");
  counted = epoch + 1;  // it has counted, and opens its ports
  for (int look = 0; look < 3; ++look) tidy();
  EXPECT_EQ(take_events(), "");
  counted = epoch;
  tidy();
  tidy();
  EXPECT_FALSE(in_segment());
}

TEST_F(UpkeepOfRetired, AServiceGoesWithItsLastBackend) {
  write_without_service_c();
  ASSERT_TRUE(reload());
  take_events();
  tidy();
  tidy();
  EXPECT_EQ(teald->executor.catalogue().inventory().services.size(), 2u);
  EXPECT_EQ((*dataplane)->ruleset().find_service(tcp("198.18.0.11:80")), kNoId);
}

TEST_F(UpkeepOfRetired, AnIdThatIsReleasedIsGivenAgain) {
  tidy();
  tidy();
  write_with("\"198.18.2.12:8080\"", "\"198.18.2.14:8080\"");
  ASSERT_TRUE(reload());
  EXPECT_EQ((*dataplane)->ruleset().find_backend(tcp("198.18.2.14:8080")), 1);
}

}  // namespace
}  // namespace teal
