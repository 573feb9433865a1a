// SPDX-License-Identifier: Apache-2.0
//
// A dataplane of another release goes on with the flows, before teald has published anything.
#include <gtest/gtest.h>

#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class Promise11Upgrade : public WorkerTest {
 protected:
  // A flow of each service, on blue; then green is active.
  void start_with_flows() {
    start();
    for (uint16_t service = 0; service < kServices; ++service) backends.push_back(open_flow(client(service)));
    flip({kWeb, kWeb6}, Colour::kGreen);
  }
  void expect_flows_go_on() {
    for (uint16_t service = 0; service < kServices; ++service) {
      const Client who = client(service);
      EXPECT_EQ(send_from_client(who), backends[service]) << "service " << service;
      EXPECT_EQ(pass(kBack, from_backend(who, backends[service])).port, kFront) << "service " << service;
    }
    EXPECT_EQ(flows(), backends.size());
    EXPECT_TRUE(ledger_is_exact());
  }
  std::vector<uint16_t> backends;
};

TEST_F(Promise11Upgrade, AnotherPartChangesNothingForFlowsAndTargets) {
  start_with_flows();
  upgrade(PartId::kFailedClients);
  expect_flows_go_on();
  EXPECT_EQ(colour_of(send_from_client(client(kWeb, 7), kSyn)), Colour::kGreen);
}

TEST_F(Promise11Upgrade, WithoutRulesFlowsGoOnAndNoneBegins) {
  start_with_flows();
  upgrade(PartId::kRulesets);
  expect_flows_go_on();
  const Client who = client(kWeb, 7);
  EXPECT_TRUE(drops(DropReason::k_no_backend, kFront, from_client(who, kSyn))) << "never to the kernel";
  publish();
  settle();
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
}

// The flow of a preview began after the flip, on the colour that drains.
TEST_F(Promise11Upgrade, WithoutRulesADrainWaitsForOlderFlowsAlone) {
  start_with_flows();
  const uint64_t flip_generation = rules().generation;
  ruleset_input.services[kWeb].preview_clients = {*parse_prefix("0.0.0.0/0")};
  publish();
  settle();
  const Client young = client(kWeb, 9);
  ASSERT_EQ(colour_of(open_flow(young)), Colour::kBlue);
  upgrade(PartId::kRulesets);
  publish();
  settle();
  uint32_t older = 0;
  for (const auto& of_backend : segment().worker(0).flows) older += of_backend[0].older;
  EXPECT_EQ(older, 2u) << "of kWeb and kWeb6, and not the preview's";
  EXPECT_LT(flip_generation, rules().generation);
  EXPECT_TRUE(ledger_is_exact());
}

}  // namespace
}  // namespace teal::test
