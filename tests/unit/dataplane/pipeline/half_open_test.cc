// SPDX-License-Identifier: Apache-2.0
//
// Half-open connections: a SYN whose flow's backend has never answered follows the present choice, and a flow
// whose backend cannot be reached does not begin.
#include <algorithm>

#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class HalfOpenTest : public WorkerTest {
 protected:
  const WorkerBlock& block() const { return segment().worker(0); }
  uint32_t live(uint16_t backend, Colour colour) const {
    return block().flows[backend][static_cast<int>(colour)].live.load();
  }
  void set_share(uint16_t share) {
    splits->services[kWeb].other_share = share;
    publish_splits();
    settle();
  }
  void set_next_hops(Colour colour, bool known) {
    for (const NumberedBackend& backend : ruleset_input.backends)
      if (colour_of(backend.id) == colour)
        header().next_hops[backend.id].store(known ? Hop{kBack, backend_mac(backend.id)}.word() : Hop::kNone);
  }
  // Lets time pass tick by tick, with its sweeps.
  void wait(uint32_t ticks) {
    for (; ticks > 0; --ticks) {
      let_pass(1);
      settle();
    }
  }
};

using HalfOpen = HalfOpenTest;
using NoNextHop = HalfOpenTest;

TEST_F(HalfOpen, RetransmittedSynFollowsTheRollbackAwayFromASilentColour) {
  start();
  for (const uint16_t service : {kWeb, kWeb6}) {
    const Client who = client(service);
    flip({service}, Colour::kGreen);
    const uint16_t green = send_from_client(who, kSyn);
    ASSERT_EQ(colour_of(green), Colour::kGreen);
    EXPECT_EQ(send_from_client(who, kSyn), green);
    const uint64_t generation = flip({service}, Colour::kBlue);

    const uint16_t blue = send_from_client(who, kSyn);
    EXPECT_EQ(blue, chosen_backend(who, Colour::kBlue));
    const auto flow = flow_of(who);
    ASSERT_TRUE(flow.has_value());
    EXPECT_EQ(flow->backend, blue);
    EXPECT_EQ(flow->birth_generation, generation);
    EXPECT_EQ(flow->state.phase, FlowPhase::kEmbryonic);
    EXPECT_EQ(live(green, Colour::kGreen), 0u);
    EXPECT_EQ(live(blue, Colour::kBlue), 1u);
    EXPECT_EQ(block().status.embryonic_flows.load(), 1u);
    EXPECT_TRUE(ledger_is_exact());

    EXPECT_EQ(pass(kBack, from_backend(who, blue, kSynAck)).from(), to_string(vip(service)));
    EXPECT_EQ(send_from_client(who, kAck), blue);
    EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
    EXPECT_FALSE(is_unassured(who));
  }
  EXPECT_EQ(flows(), 2u);
  EXPECT_EQ(count(Event::k_flows_replaced), 2u);
  EXPECT_EQ(count(Event::k_flows_created), 4u);
  EXPECT_EQ(count(Event::k_wrong_colour_flows), 0u);
}

TEST_F(HalfOpen, OnlyASynIsChosenAgain) {
  start();
  const Client who = client(kWeb);
  const uint16_t blue = send_from_client(who, kSyn);
  flip({kWeb}, Colour::kGreen);
  for (const uint8_t flags : {kAck, kSynAck, kFin}) EXPECT_EQ(send_from_client(who, flags), blue);
  const Client of_udp = client(kEcho);
  const uint16_t echo = send_from_client(of_udp);
  flip({kEcho}, Colour::kGreen);
  EXPECT_EQ(send_from_client(of_udp), echo) << "udp = \"stick\"";
}

// After a RST and data of its client the flow is embryonic again. Its backend has answered all the same.
TEST_F(HalfOpen, AnsweredFlowIsNotChosenAgainAfterARstAndDataOfItsClient) {
  start();
  const Client who = client(kWeb);
  const uint16_t blue = send_from_client(who, kSyn);
  pass(kBack, from_backend(who, blue, kSynAck));
  send_from_client(who, kAck);
  pass(kBack, from_backend(who, blue, kRst));
  pass(kFront, from_client(who, kAck, "data"));
  ASSERT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  flip({kWeb}, Colour::kGreen);
  EXPECT_TRUE(drops(DropReason::k_asked_syn, kFront, from_client(who, kSyn))) << "the backend is asked";
}

TEST_F(HalfOpen, SynsOfOneBurstFollowTheFirst) {
  start();
  const Client who = client(kWeb);
  send_from_client(who, kSyn);
  flip({kWeb}, Colour::kGreen);
  for (const uint8_t flags : {kSyn, kSyn, kAck}) inject(kFront, from_client(who, flags));
  EXPECT_EQ(iterate(0), 3u);
  for (const Sent& sent : collect()) EXPECT_EQ(backend_of(sent), chosen_backend(who, Colour::kGreen));
  EXPECT_EQ(count(Event::k_flows_replaced), 1u);
  EXPECT_EQ(flows(), 1u);
}

TEST_F(HalfOpen, SynOnAnUnansweredMidstreamFlowFollowsTheTrafficSplit) {
  start();
  flip({kWeb}, Colour::kGreen);
  const Client who = client(kWeb);
  ASSERT_EQ(colour_of(send_from_client(who, kAck)), Colour::kBlue);
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
  EXPECT_EQ(flow_of(who)->state.flags & kFlowMidstream, 0);
}

TEST_F(HalfOpen, ShareDecidesAgain) {
  start();
  constexpr uint32_t kFlows = 100;
  for (uint32_t i = 0; i < kFlows; ++i) send_from_client(client(kWeb, i), kSyn);
  set_share(3'000);
  std::vector<Colour> with_share;
  for (uint32_t i = 0; i < kFlows; ++i) {
    const Client who = client(kWeb, i);
    const Colour colour = colour_of(send_from_client(who, kSyn));
    EXPECT_EQ(flow_of(who)->state.colour(), colour);
    with_share.push_back(colour);
  }
  const auto green = static_cast<uint64_t>(std::ranges::count(with_share, Colour::kGreen));
  EXPECT_NEAR(static_cast<double>(green), 30, 20);
  EXPECT_EQ(count(Event::k_flows_replaced), green) << "the others move nothing";
  for (uint32_t i = 0; i < kFlows; ++i)
    EXPECT_EQ(colour_of(send_from_client(client(kWeb, i), kSyn)), with_share[i]);
  EXPECT_EQ(count(Event::k_flows_replaced), green) << "a second retransmission moves nothing";
  set_share(0);
  for (uint32_t i = 0; i < kFlows; ++i)
    EXPECT_EQ(colour_of(send_from_client(client(kWeb, i), kSyn)), Colour::kBlue);
}

TEST_F(HalfOpen, SynLeavesABackendThatTakesNoNewFlows) {
  using Change = void (*)(NumberedBackend&);
  const std::vector<std::pair<const char*, Change>> changes = {
      {"drain", [](NumberedBackend& backend) { backend.weights[0] = 0; }},
      {"maint",
       [](NumberedBackend& backend) {
         backend.weights[0] = 0;
         backend.reset[0] = true;
       }},
      {"retired", [](NumberedBackend& backend) {
         backend.weights = {};
         backend.retired = true;
       }}};
  start();
  const std::vector<NumberedBackend> ready = ruleset_input.backends;
  uint32_t number = 0;
  for (const auto& [name, change] : changes) {
    const Client unanswered = client(kWeb, number++), answered = client(kWeb, number++);
    const uint16_t backend = send_from_client(unanswered, kSyn);
    ruleset_input.backends[1 - backend].weights[0] = 0;  // both flows get the same backend
    publish();
    ASSERT_EQ(send_from_client(answered, kSyn), backend);
    pass(kBack, from_backend(answered, backend, kSynAck));
    ruleset_input.backends = ready;
    change(ruleset_input.backends[backend]);
    publish();
    EXPECT_EQ(send_from_client(unanswered, kSyn), 1 - backend) << name;
    EXPECT_TRUE(ledger_is_exact());
    if (!ruleset_input.backends[backend].reset[0]) {
      EXPECT_EQ(send_from_client(answered, kSyn), backend) << name;
    }
    ruleset_input.backends = ready;
    publish();
    settle();
  }
}

// The weights change what the choice names, and no backend has left.
TEST_F(HalfOpen, OtherWeightsMoveNothing) {
  start();
  std::vector<uint16_t> born_on;
  for (uint32_t i = 0; i < 100; ++i) born_on.push_back(send_from_client(client(kWeb, i), kSyn));
  ruleset_input.backends[1].weights[0] = 9;
  publish();
  uint32_t chosen_otherwise = 0;
  for (uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(send_from_client(client(kWeb, i), kSyn), born_on[i]);
    chosen_otherwise += chosen_backend(client(kWeb, i), Colour::kBlue) != born_on[i];
  }
  EXPECT_GT(chosen_otherwise, 20u);
}

TEST_F(HalfOpen, SynStaysOnItsBackendWhileTheOtherColourCannotBeReached) {
  start();
  const Client who = client(kWeb);
  const uint16_t blue = send_from_client(who, kSyn);
  set_next_hops(Colour::kGreen, false);
  flip({kWeb}, Colour::kGreen);
  EXPECT_EQ(send_from_client(who, kSyn), blue);
  set_next_hops(Colour::kGreen, true);
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);

  for (const uint16_t backend : {0, 1}) ruleset_input.backends[backend].weights[0] = 0;
  publish();
  flip({kWeb}, Colour::kBlue);
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen) << "blue's pool is empty";
  EXPECT_EQ(count(DropReason::k_no_next_hop) + count(DropReason::k_no_backend), 0u);
}

TEST_F(HalfOpen, LateAnswerOfTheFormerBackendIsNotTranslated) {
  start();
  const Client who = client(kWeb);
  const uint16_t blue = send_from_client(who, kSyn);
  flip({kWeb}, Colour::kGreen);
  const uint16_t green = send_from_client(who, kSyn);
  for (const uint8_t flags : {kSynAck, kRstAck}) {
    EXPECT_TRUE(drops(DropReason::k_stale_backend, kBack, from_backend(who, blue, flags)));
    EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  }
  EXPECT_EQ(pass(kBack, from_backend(who, green, kSynAck)).from(), "198.18.0.10:80");
  EXPECT_EQ(send_from_client(who, kAck), green);
  EXPECT_TRUE(drops(DropReason::k_stale_backend, kBack, from_backend(who, blue, kSynAck)));
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
}

TEST_F(HalfOpen, ChosenAgainWhileTheQuotaIsUsedUp) {
  start();
  for (uint32_t i = 0; i < 1'000; ++i) send_from_client(client(kWeb, i), kSyn);
  ASSERT_EQ(flows(), embryonic_quota());
  const uint64_t refused = count(Event::k_embryonic_quota);
  const Client who = client(kWeb);
  ASSERT_TRUE(flow_of(who).has_value());
  flip({kWeb}, Colour::kGreen);
  const uint16_t green = send_from_client(who, kSyn);
  EXPECT_EQ(colour_of(green), Colour::kGreen);
  EXPECT_EQ(flow_of(who)->backend, green);
  EXPECT_EQ(flows(), embryonic_quota());
  EXPECT_EQ(block().status.embryonic_flows.load(), embryonic_quota());
  EXPECT_EQ(count(Event::k_embryonic_quota), refused);
}

TEST_F(HalfOpen, ChosenAgainInAFullTable) {
  start({.flow_capacity = 1, .partitions = 1});
  const Client who = client(kWeb);
  send_from_client(who, kSyn);
  for (uint32_t i = 1; i < FlowTable::kSlots; ++i) open_flow(client(i < kShareOfBucket ? kWeb : kWeb6, i));
  flip({kWeb}, Colour::kGreen);
  const uint16_t green = send_from_client(who, kSyn);
  EXPECT_EQ(colour_of(green), Colour::kGreen);
  EXPECT_EQ(flow_of(who)->backend, green);
  EXPECT_EQ(count(Event::k_stateless), 0u);
}

TEST_F(HalfOpen, ItsTimeoutCountsFromTheSynThatWasChosenAgain) {
  ruleset_input.timeouts.embryonic = 200;
  start();
  const Client who = client(kWeb);
  send_from_client(who, kSyn);
  wait(150);
  flip({kWeb}, Colour::kGreen);
  send_from_client(who, kSyn);
  wait(199);
  EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  wait(kTicksPerSecond + 1);  // the sweep goes round
  EXPECT_EQ(flow_of(who), std::nullopt);
  EXPECT_EQ(count(Event::k_flows_aged), 1u);
  EXPECT_EQ(block().status.embryonic_flows.load(), 0u);
}

TEST_F(NoNextHop, FlowDoesNotBeginAndALaterPacketChoosesAgain) {
  start();
  for (const uint16_t service : {kWeb, kEcho}) {
    const Client who = client(service);
    set_next_hops(Colour::kBlue, false);
    for (int tries = 0; tries < 2; ++tries)
      EXPECT_TRUE(drops(DropReason::k_no_next_hop, kFront, from_client(who, kSyn)));
    EXPECT_EQ(flow_of(who), std::nullopt);
    flip({service}, Colour::kGreen);
    EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
    const Client another = client(service, 1);
    flip({service}, Colour::kBlue);
    EXPECT_TRUE(drops(DropReason::k_no_next_hop, kFront, from_client(another, kSyn)));
    set_next_hops(Colour::kBlue, true);
    EXPECT_EQ(colour_of(open_flow(another)), Colour::kBlue);
  }
  EXPECT_EQ(count(Event::k_flows_created), 4u);
  EXPECT_EQ(count(DropReason::k_no_next_hop), 6u);
  EXPECT_EQ(count(Event::k_stateless), 0u);
}

// Until another flow has begun, late packets of the old flow find their entry.
TEST_F(NoNextHop, SynThatGoesNowhereEndsNoClosingFlow) {
  start();
  const Client who = client(kWeb);
  const uint16_t blue = open_flow(who);
  send_from_client(who, kFin);
  pass(kBack, from_backend(who, blue, kFin));
  set_next_hops(Colour::kGreen, false);
  flip({kWeb}, Colour::kGreen);
  EXPECT_TRUE(drops(DropReason::k_no_next_hop, kFront, from_client(who, kSyn)));
  EXPECT_EQ(pass(kBack, from_backend(who, blue, kFin)).from(), "198.18.0.10:80");
  set_next_hops(Colour::kGreen, true);
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
}

// A flow that has begun keeps its entry while its backend's neighbour is unknown.
TEST_F(NoNextHop, FlowThatHasBegunStays) {
  start();
  const Client half_open = client(kWeb), open = client(kWeb, 1);
  const uint16_t first = send_from_client(half_open, kSyn), second = open_flow(open);
  set_next_hops(Colour::kBlue, false);
  EXPECT_TRUE(drops(DropReason::k_no_next_hop, kFront, from_client(half_open, kSyn)));
  EXPECT_TRUE(drops(DropReason::k_no_next_hop, kFront, from_client(open, kAck)));
  set_next_hops(Colour::kBlue, true);
  EXPECT_EQ(send_from_client(half_open, kSyn), first);
  EXPECT_EQ(send_from_client(open, kAck), second);
}

}  // namespace
}  // namespace teal::test
