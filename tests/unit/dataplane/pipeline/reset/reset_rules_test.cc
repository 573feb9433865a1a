// SPDX-License-Identifier: Apache-2.0
//
// Which flows are reset, at which rate their resets begin, and what happens to UDP flows.
#include <memory>

#include "tests/unit/dataplane/pipeline/reset/reset_fixture.h"

namespace teal::test {
namespace {

using ToBeReset = ResetTest;
using Promise7Cut = ResetTest;  // UDP flows end
using Promise8Reset = ResetTest;
using ResetRate = ResetTest;

TEST(IsToBeReset, ComparesGenerationsThatMayHaveWrappedAndIgnoresZero) {
  const auto ruleset = std::make_unique<Ruleset>();
  const auto splits = std::make_unique<TrafficSplits>();
  const auto header = std::make_unique<SegmentHeader>();
  const Rules rules{*ruleset, *splits, 1};
  TrafficSplit& split = splits->services[0];
  split.active = Colour::kGreen;
  const auto born = [](uint32_t generation) { return Flow{.backend = 0, .birth_generation = generation}; };
  split.reset_before = 5;
  EXPECT_TRUE(is_to_be_reset(born(4), rules, *header));
  EXPECT_TRUE(is_to_be_reset(born(0xfffffff0), rules, *header));
  EXPECT_FALSE(is_to_be_reset(born(5), rules, *header));
  split.reset_before = 0;
  EXPECT_FALSE(is_to_be_reset(born(0xfffffff0), rules, *header));
}

TEST_F(ToBeReset, AreFlowsOfTheColourNotActiveThatAreOlder) {
  start();
  const Client old_blue = client(kWeb, 0), old_green = client(kWeb, 1), new_blue = client(kWeb, 2),
               other_service = client(kWeb6, 3);
  open_flow(old_blue);
  open_flow(other_service);
  flip({kWeb, kWeb6}, Colour::kGreen);
  open_flow(old_green);
  splits->services[kWeb].other_share = kShareOne;  // all new flows preview blue
  publish_splits();
  open_flow(new_blue);
  ASSERT_EQ(flow_of(new_blue)->state.colour(), Colour::kBlue);
  EXPECT_EQ(sweep_and_collect().size(), 0u) << "nobody asked for a reset: then = wait";
  reset_drained(kWeb);
  EXPECT_EQ(sweep_and_collect().size(), 2u);
  EXPECT_EQ(phase_of(old_blue), FlowPhase::kResetting);
  for (const Client& who : {old_green, new_blue, other_service})
    EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
}

TEST_F(ToBeReset, AreFlowsOfABackendInMaintAsOneColour) {
  ruleset_input.services[kWeb].udp_cut = true;  // has no effect on TCP
  ruleset_input.backends[0].weights[1] = 1;     // in both pools
  ruleset_input.backends[0].weights[0] = 1'000'000;
  ruleset_input.backends[2].weights[1] = 0;
  ruleset_input.backends[3].weights[1] = 0;
  start();
  const Client as_blue = client(kWeb, 0), as_green = client(kWeb, 1);
  ASSERT_EQ(open_flow(as_blue), 0);
  flip({kWeb}, Colour::kGreen);
  ASSERT_EQ(open_flow(as_green), 0);
  ruleset_input.backends[0].reset[1] = true;
  publish();
  EXPECT_EQ(sweep_and_collect().size(), 2u) << "active or not";
  EXPECT_EQ(phase_of(as_green), FlowPhase::kResetting);
  EXPECT_EQ(phase_of(as_blue), FlowPhase::kEstablished);
  ruleset_input.backends[0].reset[0] = true;
  publish();
  EXPECT_EQ(sweep_and_collect().size(), 2u);
  EXPECT_EQ(phase_of(as_blue), FlowPhase::kResetting);
}

TEST_F(ToBeReset, AreHalfClosedFlowsTooButNotClosingOnes) {
  start();
  const std::vector<std::pair<std::vector<std::pair<bool, uint8_t>>, bool>> cases = {
      {{{false, kFin}}, true}, {{{true, kFin}}, true},  {{{false, kFin}, {true, kFin}}, false},
      {{{false, kRst}}, true}, {{{true, kRst}}, false},
  };
  uint32_t number = 0;
  for (const auto& [segments, reset] : cases) {
    const Client who = client(kWeb, number++);
    const uint16_t backend = open_flow(who);
    for (const auto& [from_backend, flags] : segments) {
      from_backend ? pass(kBack, backend_segment(who, backend, flags).build())
                   : pass(kFront, client_segment(who, flags).build());
    }
  }
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  EXPECT_EQ(sweep_and_collect().size(), 6u);
  number = 0;
  for (const auto& [segments, reset] : cases)
    EXPECT_EQ(phase_of(client(kWeb, number++)) == FlowPhase::kResetting, reset);
}

TEST_F(ToBeReset, AreNoMoreFlowsOnceTheOperatorFlipsBackButBegunResetsAreCompleted) {
  start();
  const Client begun = client(kWeb, 0), spared = client(kWeb, 1);
  const uint16_t backend = begin_reset(begun);
  flip({kWeb}, Colour::kBlue);
  splits->services[kWeb].reset_before = 0;
  publish_splits();
  open_flow(spared);
  let_pass(kProbeTicks);
  EXPECT_EQ(sweep_and_collect().size(), 2u);
  EXPECT_EQ(flow_of(begun)->state.probes, 2);
  EXPECT_EQ(phase_of(spared), FlowPhase::kEstablished);
  EXPECT_TRUE(is_rst_to_client(pass(kFront, ack_of_client(begun)), begun));
  EXPECT_TRUE(is_rst_to_backend(pass(kBack, ack_of_backend(begun, backend)), begun, backend));
  EXPECT_EQ(count(Event::k_flows_reset), 1u);
}

TEST_F(Promise8Reset, RunningWorkerBeginsAndTriesAgainWithoutARestart) {
  start();
  const Client who = client(kWeb);
  open_flow(who);
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  uint32_t ticks = 0;
  for (; flow_of(who) && ticks < 6 * kTicksPerSecond; ++ticks) {
    let_pass(1);
    settle();
  }
  EXPECT_EQ(flow_of(who), std::nullopt);
  EXPECT_EQ(collect().size(), 6u) << "three to each end";
  EXPECT_EQ(count(Event::k_flows_reset), 1u);
  EXPECT_GE(ticks, 3 * kProbeTicks);
}

// ---- the rate

TEST_F(ResetRate, IsForAllWorkersTogether) {
  constexpr uint32_t kFlows = 200;
  start({.workers = 2});
  for (uint32_t i = 0; i < kFlows; ++i) open_flow(client(kWeb, i));
  ruleset_input.reset_rate = 400;
  publish();
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  restart(2);  // its first sweep may begin a tenth of 200 for each worker
  settle();
  EXPECT_EQ(count(Event::k_reset_probes), 2 * 40u) << "a probe to each end";
  collect();
  // The others are begun as the hand comes round. No flow is probed a second time before kProbeTicks.
  for (uint32_t ticks = 1; ticks < kProbeTicks; ++ticks) {
    let_pass(1);
    settle();
    EXPECT_LE(count(Event::k_reset_probes), 2 * (40u + 4 * ticks)) << "after " << ticks << " ticks";
  }
  for (uint32_t ticks = 0; ticks < 3 * kTicksPerSecond; ++ticks) {
    let_pass(1);
    settle();
  }
  EXPECT_GE(count(Event::k_reset_probes), 2 * kFlows);
  collect();
}

TEST_F(ResetRate, IsNotUsedUpByFlowsThatEndWithoutProbes) {
  ruleset_input.reset_rate = 10;  // one at once
  start();
  for (uint32_t i = 0; i < 20; ++i) send_from_client(client(kWeb, i), kSyn);
  const Client who = client(kWeb, 20);
  open_flow(who);
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  EXPECT_EQ(sweep_and_collect().size(), 2u);
  EXPECT_EQ(phase_of(who), FlowPhase::kResetting);
  EXPECT_EQ(flows(), 1u);
}

// ---- UDP

TEST_F(Promise7Cut, FlowsToBeResetEndAtOnce) {
  start();
  for (const uint16_t service : {kEcho, kEcho6}) {
    const Client answered = client(service, 0), unanswered = client(service, 1),
                 of_maint = client(service, 2);
    open_flow(answered);
    send_from_client(unanswered);
    const uint64_t cut = count(Event::k_flows_cut);
    flip({service}, Colour::kGreen);
    const uint16_t backend = open_flow(of_maint);
    reset_drained(service);
    EXPECT_EQ(sweep_and_collect().size(), 0u) << "there is nothing to be sent";
    EXPECT_EQ(count(Event::k_flows_cut), cut + 2);
    EXPECT_EQ(flow_of(answered), std::nullopt);
    EXPECT_EQ(flow_of(unanswered), std::nullopt);
    EXPECT_EQ(phase_of(of_maint), FlowPhase::kEstablished);
    ruleset_input.backends[backend].reset[1] = true;
    publish();
    sweep();
    EXPECT_EQ(flow_of(of_maint), std::nullopt);
    EXPECT_EQ(count(Event::k_flows_cut), cut + 3);
    ruleset_input.backends[backend].reset[1] = false;
    publish();
    EXPECT_EQ(colour_of(send_from_client(answered)), Colour::kGreen);
  }
  EXPECT_EQ(count(Event::k_flows_reset), 0u);
}

TEST_F(Promise7Cut, StickKeepsAFlowOnItsBackendAfterAFlip) {
  start();
  const Client who = client(kEcho);
  const uint16_t backend = open_flow(who);
  flip({kEcho}, Colour::kGreen);
  EXPECT_EQ(send_from_client(who), backend);
  EXPECT_EQ(count(Event::k_flows_cut), 0u);
}

TEST_F(Promise7Cut, CutChoosesAgainAtTheClientsNextPacketAfterAFlip) {
  for (const uint16_t service : {kEcho, kEcho6}) ruleset_input.services[service].udp_cut = true;
  start();
  for (const uint16_t service : {kEcho, kEcho6}) {
    const Client who = client(service);
    const uint16_t backend = open_flow(who);
    EXPECT_EQ(send_from_client(who), backend) << "without a flip";
    const uint64_t cut = count(Event::k_flows_cut), created = count(Event::k_flows_created);
    const uint64_t generation = flip({service}, Colour::kGreen);
    EXPECT_EQ(pass(kBack, from_backend(who, backend)).port, kFront) << "an answer that was on its way";
    EXPECT_EQ(flow_of(who)->backend, backend);
    // Two packets of one burst: one new flow.
    inject(kFront, from_client(who));
    inject(kFront, from_client(who));
    EXPECT_EQ(iterate(0), 2u);
    const std::vector<Sent> sent = collect();
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(colour_of(backend_of(sent[0])), Colour::kGreen);
    EXPECT_EQ(backend_of(sent[0]), backend_of(sent[1]));
    EXPECT_EQ(count(Event::k_flows_cut), cut + 1);
    EXPECT_EQ(count(Event::k_flows_created), created + 1);
    EXPECT_EQ(flow_of(who)->birth_generation, generation);
    EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
    EXPECT_EQ(send_from_client(who), backend_of(sent[0])) << "and stays there";
    EXPECT_EQ(count(Event::k_flows_cut), cut + 1);
  }
  EXPECT_EQ(count(Event::k_wrong_colour_flows), 0u);
}

TEST_F(Promise7Cut, CutIsForFlowsThatAreOlderThanTheFlip) {
  ruleset_input.services[kEcho].udp_cut = true;
  start();
  flip({kEcho}, Colour::kGreen);
  splits->services[kEcho].other_share = kShareOne;  // all new flows preview blue
  publish_splits();
  const Client who = client(kEcho);
  const uint16_t backend = open_flow(who);
  ASSERT_EQ(colour_of(backend), Colour::kBlue);
  EXPECT_EQ(send_from_client(who), backend);
  EXPECT_EQ(count(Event::k_flows_cut), 0u);
}

TEST_F(Promise7Cut, CutFlowEndsEvenIfNoBackendCanBeChosen) {
  ruleset_input.services[kEcho].udp_cut = true;
  for (const uint16_t green : {8, 9}) ruleset_input.backends[green].weights[1] = 0;
  start();
  const Client who = client(kEcho);
  open_flow(who);
  flip({kEcho}, Colour::kGreen);
  EXPECT_TRUE(drops(DropReason::k_no_backend, kFront, from_client(who)));
  EXPECT_EQ(flow_of(who), std::nullopt);
  EXPECT_EQ(count(Event::k_flows_cut), 1u);
}

}  // namespace
}  // namespace teal::test
