// SPDX-License-Identifier: Apache-2.0
//
// The life of a flow: how it begins, which packets keep it, and how it ends.
#include "control/metrics/traffic.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class TrackingTest : public WorkerTest {
 protected:
  // One round of the sweep at once: a new worker's first sweep goes round the whole of a small table.
  void sweep() {
    restart(1);
    settle();
  }
};

using Tracking = TrackingTest;
using Promise7 = TrackingTest;  // UDP flows end
using Ageing = TrackingTest;
using Midstream = TrackingTest;
using StaleBackend = TrackingTest;

TEST_F(Tracking, HandshakeEstablishesAndTwoFinsClose) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  send_from_client(who, kAck);
  EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic) << "only the backend's answer counts";
  pass(kBack, from_backend(who, backend, kSynAck));
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
  send_from_client(who, kFin);
  EXPECT_EQ(phase_of(who), FlowPhase::kClientFin);
  pass(kBack, from_backend(who, backend, kAck, "the rest"));
  EXPECT_EQ(phase_of(who), FlowPhase::kClientFin);
  pass(kBack, from_backend(who, backend, kFin));
  EXPECT_EQ(phase_of(who), FlowPhase::kClosed);
  EXPECT_EQ(send_from_client(who, kAck), backend) << "the last ACK still goes its way";
  EXPECT_EQ(phase_of(who), FlowPhase::kClosed);
}

TEST_F(Tracking, FlowIsUnassuredUntilTheClientAnswersTheBackendsAnswer) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  send_from_client(who, kAck);  // the backend has not answered yet
  EXPECT_TRUE(is_unassured(who));
  pass(kBack, from_backend(who, backend, kSynAck));
  pass(kBack, from_backend(who, backend, kSynAck));
  send_from_client(who, kSyn);
  EXPECT_TRUE(is_unassured(who));
  EXPECT_EQ(segment().worker(0).status.embryonic_flows.load(), 1u);
  send_from_client(who, kAck);
  EXPECT_FALSE(is_unassured(who));
  EXPECT_EQ(segment().worker(0).status.embryonic_flows.load(), 0u);
}

TEST_F(Tracking, RstOfAClientLeavesItsFlowUnassured) {
  start();
  for (const bool answered : {false, true}) {
    const Client who = client(kWeb, answered);
    const uint16_t backend = send_from_client(who, kSyn);
    if (answered) pass(kBack, from_backend(who, backend, kSynAck));
    send_from_client(who, kRst);
    EXPECT_EQ(phase_of(who), FlowPhase::kReset);
    send_from_client(who, kAck);
    EXPECT_TRUE(is_unassured(who));
  }
  EXPECT_EQ(segment().worker(0).status.embryonic_flows.load(), 2u);
}

TEST_F(Tracking, FlowThatABackendsRstHitGoesOnOnceTheBackendAnswers) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  pass(kBack, from_backend(who, backend, kRst));  // of a host beside the backend
  EXPECT_EQ(backend_of(pass(kFront, from_client(who, kAck, "data"))), backend);
  EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  pass(kBack, from_backend(who, backend, kAck));
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
  EXPECT_FALSE(is_unassured(who));
}

TEST_F(Tracking, RefusedConnectionIsClosing) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  EXPECT_EQ(pass(kBack, from_backend(who, backend, kRstAck)).port, kFront);
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  EXPECT_EQ(segment().worker(0).flows[backend][0].live.load(), 0u);
  EXPECT_EQ(segment().worker(0).flows[backend][0].closing.load(), 1u);
}

TEST_F(Tracking, SameTupleToTwoServicesIsTwoFlows) {
  Socket second = ruleset_input.services[kWeb].vip;
  second.port = Be16::from_host(81);
  ruleset_input.services.push_back({.id = 4, .name = "web81", .vip = second});
  NumberedBackend backend{.id = 12, .service = 4, .socket = ruleset_input.backends[0].socket};
  backend.socket.port = Be16::from_host(8081);
  backend.weights[0] = 1;
  ruleset_input.backends.push_back(backend);
  start();
  Client who = client(kWeb);
  const uint16_t first = open_flow(who);
  who.service = 4;
  EXPECT_EQ(open_flow(who), 12u);
  EXPECT_EQ(flows(), 2u);
  EXPECT_EQ(pass(kBack, from_backend(who, 12)).from(), "198.18.0.10:81");
  who.service = kWeb;
  EXPECT_EQ(pass(kBack, from_backend(who, first)).from(), "198.18.0.10:80");
}

TEST_F(Promise7, AnswerEstablishesAndAssures) {
  start();
  const Client who = client(kEcho);
  const uint16_t backend = send_from_client(who);
  EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  send_from_client(who);
  EXPECT_TRUE(is_unassured(who));
  pass(kBack, from_backend(who, backend));
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
  EXPECT_FALSE(is_unassured(who));
}

TEST_F(Promise7, OneWayFlowEndsByTheEmbryonicTimeoutAlthoughItsClientKeepsSending) {
  ruleset_input.timeouts.embryonic = 4;
  start();
  const Client who = client(kEcho);
  send_from_client(who);
  const uint32_t born = flow_of(who)->state.tick;
  for (int i = 0; i < 4; ++i) {
    let_pass(2);
    send_from_client(who);
    EXPECT_EQ(flow_of(who)->state.tick, born);
  }
  sweep();
  EXPECT_EQ(flow_of(who), std::nullopt);
  EXPECT_EQ(count(Event::k_flows_aged), 1u);
}

TEST_F(Promise7, AnswersOfTheBackendKeepAFlow) {
  ruleset_input.timeouts.embryonic = 2;
  ruleset_input.timeouts.udp_established = 50;
  start();
  const Client who = client(kEcho);
  const uint16_t backend = send_from_client(who);
  for (int i = 0; i < 35; ++i) {  // 0.7 s
    pass(kBack, from_backend(who, backend));
    let_pass(2);
    sweep();
  }
  EXPECT_EQ(count(Event::k_flows_aged), 0u);
  for (int i = 0; i < 3; ++i) {
    let_pass(20);
    send_from_client(who);
  }
  sweep();
  EXPECT_EQ(flow_of(who), std::nullopt) << "the client alone keeps nothing";
}

TEST_F(Ageing, EachPhaseEndsByItsOwnTimeout) {
  struct Case {
    FlowPhase phase;
    uint32_t Timeouts::*timeout;
    std::vector<std::pair<Wire, uint8_t>> segments;
  };
  const std::vector<std::pair<Wire, uint8_t>> up = {{kFront, kSyn}, {kBack, kSynAck}, {kFront, kAck}};
  const auto after = [&](std::vector<std::pair<Wire, uint8_t>> more) {
    more.insert(more.begin(), up.begin(), up.end());
    return more;
  };
  const std::vector<Case> cases = {
      {FlowPhase::kEmbryonic, &Timeouts::embryonic, {{kFront, kSyn}}},
      {FlowPhase::kEstablished, &Timeouts::embryonic, {{kFront, kSyn}, {kBack, kSynAck}}},  // not assured
      {FlowPhase::kEstablished, &Timeouts::tcp_established, up},
      {FlowPhase::kClientFin, &Timeouts::tcp_half_closed, after({{kFront, kFin}})},
      {FlowPhase::kBackendFin, &Timeouts::tcp_half_closed, after({{kBack, kFin}})},
      {FlowPhase::kClosed, &Timeouts::tcp_closed, after({{kFront, kFin}, {kBack, kFin}})},
      {FlowPhase::kReset, &Timeouts::tcp_closed, after({{kBack, kRst}})},
  };
  start();
  uint64_t aged = 0;
  const Timeouts patient{100'000, 100'000, 100'000, 100'000, 100'000};
  for (const Case& c : cases) {
    ruleset_input.timeouts = patient;
    publish();
    const Client who = client(kWeb, static_cast<uint32_t>(aged));
    uint16_t backend = kNoId;
    for (const auto& [wire, flags] : c.segments) {
      if (wire == kFront)
        backend = send_from_client(who, flags);
      else
        pass(kBack, from_backend(who, backend, flags));
    }
    ASSERT_EQ(phase_of(who), c.phase);
    let_pass(4);
    sweep();
    ASSERT_EQ(phase_of(who), c.phase) << "too early";
    ruleset_input.timeouts.*c.timeout = 3;
    publish();
    sweep();
    EXPECT_EQ(flow_of(who), std::nullopt) << "phase " << static_cast<int>(c.phase);
    EXPECT_EQ(count(Event::k_flows_aged), ++aged);
    EXPECT_TRUE(ledger_is_exact());
  }
}

TEST_F(Ageing, SweepGoesRoundInASecond) {
  ruleset_input.timeouts.embryonic = 1;
  start();
  for (uint32_t i = 0; i < 100; ++i) send_from_client(client(kWeb, i), kSyn);
  for (uint32_t ticks = 0; ticks <= kTicksPerSecond; ++ticks) {
    let_pass(1);
    settle();
  }
  EXPECT_EQ(flows(), 0u);
  EXPECT_EQ(count(Event::k_flows_aged), 100u);
}

TEST_F(Ageing, TrafficKeepsATcpFlow) {
  ruleset_input.timeouts.tcp_established = 50;
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  for (int i = 0; i < 35; ++i) {
    i % 2 == 0 ? send_from_client(who) : backend_of(pass(kBack, from_backend(who, backend)));
    let_pass(2);
    sweep();
  }
  EXPECT_EQ(count(Event::k_flows_aged), 0u);
}

TEST_F(Midstream, DuringADrainGoesToThePreviousColour) {
  start();
  flip({kWeb}, Colour::kGreen);
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kAck);
  EXPECT_EQ(colour_of(backend), Colour::kBlue);
  EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  EXPECT_EQ(count(Event::k_flows_midstream), 1u);
  EXPECT_EQ(count(Event::k_flows_created), 0u);
  EXPECT_EQ(segment().worker(0).services[kWeb][0].midstream.read(), 1u);
  Traffic of_blue;
  of_blue.add(segment().worker(0), kWeb, Colour::kBlue);
  EXPECT_EQ(of_blue.new_flows, 1u);
  pass(kBack, from_backend(who, backend, kAck, "data"));
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
  EXPECT_EQ(send_from_client(who), backend);
}

TEST_F(Midstream, AfterTheDrainGoesToTheActiveColour) {
  start();
  flip({kWeb}, Colour::kGreen, 2);
  let_pass(5);
  EXPECT_EQ(colour_of(send_from_client(client(kWeb), kAck)), Colour::kGreen);
  EXPECT_EQ(count(Event::k_flows_midstream), 1u);
}

TEST_F(Midstream, WithoutAFlipGoesToTheActiveColour) {
  start();
  EXPECT_EQ(colour_of(send_from_client(client(kWeb), kAck)), Colour::kBlue);
}

TEST_F(Midstream, SynDuringADrainIsNotMidstream) {
  start();
  flip({kWeb}, Colour::kGreen);
  EXPECT_EQ(colour_of(send_from_client(client(kWeb), kSyn)), Colour::kGreen);
}

TEST_F(Midstream, RstOfTheBackendEndsTheFlow) {
  start();
  flip({kWeb}, Colour::kGreen);
  const Client who = client(kWeb);
  pass(kBack, from_backend(who, send_from_client(who, kAck), kRst));
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen)
      << "the client's new try follows the traffic split";
}

TEST_F(Midstream, RstOfAClientWithoutFlowPassesAndLeavesNone) {
  start();
  EXPECT_EQ(colour_of(send_from_client(client(kWeb), kRst)), Colour::kBlue);
  EXPECT_EQ(flows(), 0u);
  EXPECT_EQ(count(Event::k_flows_midstream), 0u);
}

TEST_F(StaleBackend, TcpFromAnotherBackendOfTheServiceIsDropped) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  for (uint16_t another = 0; another < 4; ++another) {
    if (another == backend) continue;
    EXPECT_TRUE(drops(DropReason::k_stale_backend, kBack, from_backend(who, another, kRst)));
  }
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
}

TEST_F(StaleBackend, UdpFromAnotherBackendIsTranslatedAndChangesNoState) {
  start();
  const Client who = client(kEcho);
  const uint16_t backend = send_from_client(who);
  const uint16_t another = backend == 6 ? 7 : 6;
  const Sent reply = pass(kBack, from_backend(who, another, 0, "late"));
  EXPECT_EQ(reply.from(), "198.18.0.10:5300");
  EXPECT_TRUE(checksums_are_right(reply.frame));
  EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  EXPECT_EQ(send_from_client(who), backend);
}

}  // namespace
}  // namespace teal::test
