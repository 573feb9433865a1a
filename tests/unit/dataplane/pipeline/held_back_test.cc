// SPDX-License-Identifier: Apache-2.0
//
// A backend is held back without a publication: some of its flows move, and others stay.
#include <set>

#include "dataplane/pipeline/choose.h"
#include "tests/unit/dataplane/pipeline/reset/reset_fixture.h"

namespace teal::test {
namespace {

class HeldBack : public ResetTest {
 protected:
  static constexpr uint32_t kFlows = 100;

  void set_down(uint16_t backend, bool down = true) {
    words().set_held_back(backend, down ? kDown : kTakesAll);
  }
  void set_blue_down(uint16_t service) {
    for (const NumberedBackend& backend : ruleset_input.backends)
      if (backend.service == service && colour_of(backend.id) == Colour::kBlue) set_down(backend.id);
  }
  // A client whose first choice is this backend.
  Client client_of(uint16_t backend, uint32_t from = 0) const {
    const uint16_t service = ruleset_input.backends[backend].service;
    for (;; ++from)
      if (chosen_backend(client(service, from), colour_of(backend)) == backend) return client(service, from);
  }
};

TEST_F(HeldBack, NewFlowsGoToTheSecondChoiceAndNoOtherClientMoves) {
  start();
  set_down(0);
  uint64_t second = 0;
  for (uint32_t i = 0; i < kFlows; ++i) {
    const Client who = client(kWeb, i);
    const uint16_t backend = send_from_client(who, kSyn);
    EXPECT_EQ(backend, 1);
    second += chosen_backend(who, Colour::kBlue) == 0;
  }
  EXPECT_GT(second, kFlows / 4);
  EXPECT_EQ(count(Event::k_second_choice), second);
  set_down(0, false);
  for (uint32_t i = kFlows; i < 2 * kFlows; ++i)
    EXPECT_EQ(send_from_client(client(kWeb, i), kSyn), chosen_backend(client(kWeb, i), Colour::kBlue));
  EXPECT_EQ(count(Event::k_second_choice), second);
}

TEST_F(HeldBack, EstablishedTcpFlowStaysAndGoesOnWhileItsBackendIsDown) {
  start();
  for (const uint16_t backend : {0, 4}) {
    const Client who = client_of(backend);
    open_flow(who);
    set_down(backend);
    EXPECT_EQ(send_from_client(who, kAck), backend);
    EXPECT_EQ(pass(kBack, from_backend(who, backend, kAck, "data")).port, kFront);
    send_from_client(who, kSyn);
    for (const Sent& ask : take_asks())
      pass(kBack, answer_to(ask, true));  // not where it is alone in its pool
    EXPECT_EQ(send_from_client(who, kSyn), backend) << "a SYN on a live flow moves nothing";
    set_down(backend, false);
    EXPECT_EQ(send_from_client(who, kAck), backend);
  }
}

TEST_F(HeldBack, EmbryonicFlowIsChosenAgainAtItsSyn) {
  start();
  const Client who = client_of(0);
  ASSERT_EQ(send_from_client(who, kSyn), 0);
  set_down(0);
  EXPECT_EQ(send_from_client(who, kAck), 0) << "only a SYN is chosen again";
  EXPECT_EQ(send_from_client(who, kSyn), 1);
  EXPECT_EQ(flow_of(who)->backend, 1);
  EXPECT_EQ(count(Event::k_flows_replaced), 1u);
  set_down(0, false);
  EXPECT_EQ(send_from_client(who, kSyn), 1) << "it does not go back";
  EXPECT_EQ(count(Event::k_flows_replaced), 1u);
}

TEST_F(HeldBack, UdpFlowIsChosenAgainAtTheClientsNextPacket) {
  start();
  const Client who = client_of(6);
  ASSERT_EQ(open_flow(who), 6);
  set_down(6);
  EXPECT_EQ(pass(kBack, from_backend(who, 6)).port, kFront) << "late answers still pass";
  EXPECT_EQ(send_from_client(who), 7);
  EXPECT_EQ(flow_of(who)->backend, 7);
  EXPECT_EQ(count(Event::k_flows_cut), 1u);
  EXPECT_EQ(send_from_client(who), 7);
  EXPECT_EQ(count(Event::k_flows_cut), 1u);
}

TEST_F(HeldBack, SlowStartMovesNoFlow) {
  start();
  const Client syn = client_of(0), udp = client_of(6);
  send_from_client(syn, kSyn);
  open_flow(udp);
  for (const uint16_t backend : {0, 6}) words().set_held_back(backend, kDown - 1);
  EXPECT_EQ(send_from_client(syn, kSyn), 0);
  EXPECT_EQ(send_from_client(udp), 6);
}

TEST_F(HeldBack, AllServeWhereNoneIsUpAndNoFlowMovesForIt) {
  start();
  for (const uint16_t service : {kWeb, kEcho}) {
    for (const PoolMode mode : {PoolMode::kNormal, PoolMode::kAllServe}) {
      words().set_mode(service, Colour::kBlue, mode);
      set_blue_down(service);
      const uint64_t before = count(Event::k_all_held_back), ended = count(Event::k_flows_cut);
      for (uint32_t i = 0; i < 20; ++i) {
        const Client who = client(service, i + 100 * static_cast<uint32_t>(mode));
        EXPECT_EQ(open_flow(who), chosen_backend(who, Colour::kBlue));
        EXPECT_EQ(send_from_client(who), chosen_backend(who, Colour::kBlue));
      }
      EXPECT_EQ(count(Event::k_all_held_back), before + 20);
      EXPECT_EQ(count(Event::k_flows_cut), ended);
    }
  }
}

TEST_F(HeldBack, FlowsOfADownBackendStayOrAreResetAsOnDownSays) {
  ruleset_input.services[kWeb6].on_down_reset = true;
  start();
  const Client kept = client_of(0), reset = client_of(4), half_open = client_of(4, 50),
               green = client(kWeb6, 90);
  open_flow(kept);
  open_flow(reset);
  send_from_client(half_open, kSyn);
  flip({kWeb6}, Colour::kGreen);
  open_flow(green);
  set_down(0);
  set_down(4);
  words().tell_workers();
  let_pass(kTicksPerSecond);
  settle();
  EXPECT_EQ(collect().size(), 2u) << "one probe to each end";
  EXPECT_EQ(phase_of(reset), FlowPhase::kResetting);
  EXPECT_EQ(phase_of(kept), FlowPhase::kEstablished);
  EXPECT_EQ(phase_of(green), FlowPhase::kEstablished);
  EXPECT_EQ(flow_of(half_open), std::nullopt) << "no connection exists yet";
  EXPECT_TRUE(is_rst_to_client(pass(kFront, ack_of_client(reset)), reset));
  EXPECT_TRUE(is_rst_to_backend(pass(kBack, ack_of_backend(reset, 4)), reset, 4));
  EXPECT_EQ(count(Event::k_flows_reset), 2u);
}

TEST_F(HeldBack, NoFlowIsResetWhileAllServe) {
  ruleset_input.services[kWeb].on_down_reset = true;
  start();
  words().set_mode(kWeb, Colour::kBlue, PoolMode::kAllServe);
  const Client who = client_of(0);
  open_flow(who);
  set_blue_down(kWeb);
  EXPECT_TRUE(sweep_and_collect().empty());
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
}

// Without the round, the sweep looks at an established flow again after its timeout: two hours.
TEST_F(HeldBack, AHealthChangeStartsARoundOfEachWorkersSweep) {
  ruleset_input.services[kWeb].on_down_reset = true;
  start({.workers = 2});
  for (uint32_t i = 0; i < kFlows; ++i) open_flow(client(kWeb, i));
  let_pass(3 * kTicksPerSecond);
  settle();
  const uint32_t of_backend_0 = segment().worker(0).flows[0][0].live + segment().worker(1).flows[0][0].live;
  ASSERT_GT(segment().worker(0).flows[0][0].live, 0u);
  ASSERT_GT(segment().worker(1).flows[0][0].live, 0u);
  set_down(0);
  let_pass(3 * kTicksPerSecond);
  settle();
  EXPECT_TRUE(collect().empty()) << "nobody told the workers";
  words().tell_workers();
  std::vector<Sent> probes;
  for (uint32_t tick = 0; tick < kProbeTicks / 2; ++tick) {
    let_pass(2);
    settle();
    for (Sent& sent : collect()) probes.push_back(std::move(sent));
  }
  std::set<std::string> probed;
  for (const Sent& probe : probes)
    if (probe.port == kFront) probed.insert(probe.to());
  for (uint32_t tick = 0; tick < kTicksPerSecond; ++tick) {
    let_pass(1);
    settle();
    for (const Sent& sent : collect())
      if (sent.port == kFront) probed.insert(sent.to());
  }
  EXPECT_EQ(probed.size(), of_backend_0);
}

TEST_F(HeldBack, AStatelessFlowFollowsTheSecondChoiceAndItsReplyReturns) {
  start({.flow_capacity = 24, .partitions = 1});
  set_down(0);
  Client who = client_of(0);
  for (uint32_t i = 1'000; count(Event::k_stateless) == 0; ++i) send_from_client(client(kWeb, i), kSyn);
  const uint64_t before = count(Event::k_stateless);
  EXPECT_EQ(send_from_client(who, kSyn), 1);
  EXPECT_EQ(flow_of(who), std::nullopt);
  EXPECT_EQ(pass(kBack, from_backend(who, 1, kSynAck)).port, kFront);
  EXPECT_EQ(count(Event::k_stateless), before + 2);
}

}  // namespace
}  // namespace teal::test
