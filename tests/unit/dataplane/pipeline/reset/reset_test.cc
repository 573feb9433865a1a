// SPDX-License-Identifier: Apache-2.0
//
// Promise 8: a drain may end by reset. These tests follow the RSTs to the ends of a flow, packet by packet.
#include "tests/unit/dataplane/pipeline/reset/reset_fixture.h"

namespace teal::test {
namespace {

using Rst = ResetTest;
using AfterReset = ResetTest;
using Promise11Reset = ResetTest;

constexpr uint16_t kTcpServices[] = {kWeb, kWeb6};

// ---- the RSTs

TEST_F(Rst, GoesToTheEndThatAnsweredWithTheNumberThatItAskedFor) {
  start();
  for (const uint16_t service : kTcpServices) {
    const Client who = client(service);
    const uint16_t backend = begin_reset(who);
    const uint64_t sent = count(Event::k_resets_sent), reset = count(Event::k_flows_reset);
    EXPECT_TRUE(is_rst_to_client(pass(kFront, client_segment(who, kAck, 1234567).build()), who, 1234567));
    EXPECT_EQ(phase_of(who), FlowPhase::kResetting) << "the backend has not answered";
    EXPECT_EQ(flow_of(who)->state.flags & (kFlowClientReset | kFlowBackendReset), kFlowClientReset);
    EXPECT_EQ(count(Event::k_flows_reset), reset);
    EXPECT_EQ(segment().worker(0).flows[backend][0].live.load(), 1u);
    EXPECT_TRUE(is_rst_to_backend(pass(kBack, backend_segment(who, backend, kAck, 7654321).build()), who,
                                  backend, 7654321));
    EXPECT_EQ(phase_of(who), FlowPhase::kReset);
    EXPECT_EQ(flow_of(who)->state.flags & (kFlowClientReset | kFlowBackendReset),
              kFlowClientReset | kFlowBackendReset);
    EXPECT_EQ(count(Event::k_flows_reset), reset + 1);
    EXPECT_EQ(count(Event::k_resets_sent), sent + 2);
    EXPECT_EQ(segment().worker(0).flows[backend][0].live.load(), 0u);
    EXPECT_EQ(segment().worker(0).flows[backend][0].closing.load(), 1u);
  }
}

TEST_F(Rst, GoesToTheBackendFirstIfThatAnswersFirst) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = begin_reset(who);
  EXPECT_TRUE(is_rst_to_backend(pass(kBack, ack_of_backend(who, backend)), who, backend));
  EXPECT_EQ(phase_of(who), FlowPhase::kResetting);
  EXPECT_TRUE(is_rst_to_client(pass(kFront, ack_of_client(who)), who));
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  EXPECT_EQ(count(Event::k_flows_reset), 1u);
}

TEST_F(Rst, AnswersEachPacketOfABusyFlow) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = begin_reset(who);
  for (uint32_t i = 0; i < 10; ++i) {
    const Frame data = backend_segment(who, backend, kAck, 1000 + i).payload_bytes(1'400).build();
    EXPECT_TRUE(is_rst_to_backend(pass(kBack, data), who, backend, 1000 + i));
    EXPECT_TRUE(is_rst_to_client(pass(kFront, client_segment(who, kAck, 2000 + i).build()), who, 2000 + i));
  }
  EXPECT_EQ(count(Event::k_resets_sent), 20u);
  EXPECT_EQ(count(Event::k_flows_reset), 1u);
}

TEST_F(Rst, KeepsNothingOfThePacketThatItReplaces) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = begin_reset(who);
  const auto rst_for = [&](PacketBuilder packet) { return pass(kFront, packet.build()); };
  EXPECT_TRUE(is_rst_to_client(rst_for(client_segment(who, kAck).ipv4_options({1, 1, 1, 1})), who));
  EXPECT_TRUE(
      is_rst_to_client(rst_for(client_segment(who, kAck).tcp_options({8, 10, 1, 2, 3, 4, 5, 6, 7, 8})), who));
  EXPECT_TRUE(is_rst_to_client(rst_for(client_segment(who, kFin).payload("the last")), who));
  EXPECT_TRUE(is_rst_to_client(rst_for(client_segment(who, kAck).pad_to(60)), who));
  EXPECT_TRUE(is_rst_to_client(rst_for(client_segment(who, kAck).wrong_checksum(Layer::kTransport)), who));
  EXPECT_TRUE(is_rst_to_client(rst_for(client_segment(who, kSynAck)), who))
      << "a SYN with ACK does not begin a flow";
  EXPECT_TRUE(is_rst_to_backend(pass(kBack, backend_segment(who, backend, kSynAck).build()), who, backend));
}

TEST_F(Rst, GoesBackByTheHopThatTheClientsPacketCameBy) {
  start();
  const Client who = client(kWeb);
  begin_reset(who);
  const Sent rst = pass(kSide, client_segment(who, kAck).eth(kSideMac, kDefaultHopMac).build());
  EXPECT_EQ(rst.port, kSide);
  EXPECT_EQ(rst.destination_mac(), kDefaultHopMac);
  EXPECT_EQ(rst.source_mac(), kSideMac);
}

TEST_F(Rst, WithoutAHopToTheBackendMarksNothing) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = begin_reset(who);
  header().next_hops[backend].store(Hop::kNone);
  EXPECT_TRUE(drops(DropReason::k_no_next_hop, kBack, ack_of_backend(who, backend)));
  EXPECT_EQ(flow_of(who)->state.flags & kFlowBackendReset, 0);
  EXPECT_EQ(count(Event::k_resets_sent), 0u);
}

TEST_F(Rst, CountsNoPacketOfTheService) {
  start();
  const Client who = client(kWeb);
  const auto& counters = segment().worker(0).services[kWeb][0];
  const uint16_t backend = begin_reset(who);
  const uint64_t to_backend = counters.packets[0].read(), to_client = counters.packets[1].read();
  pass(kFront, ack_of_client(who));
  pass(kBack, ack_of_backend(who, backend));
  EXPECT_EQ(counters.packets[0].read(), to_backend);
  EXPECT_EQ(counters.packets[1].read(), to_client);
}

TEST_F(Rst, OfAnEndPassesToTheOtherAndTheFlowIsOver) {
  start();
  for (const bool from_backend : {false, true}) {
    for (const uint16_t service : kTcpServices) {
      const Client who = client(service, from_backend);
      flip({service}, Colour::kBlue);
      const uint16_t backend = begin_reset(who);
      const uint64_t reset = count(Event::k_flows_reset), sent = count(Event::k_resets_sent);
      const Sent passed = from_backend ? pass(kBack, backend_segment(who, backend, kRst).build())
                                       : pass(kFront, client_segment(who, kRst).build());
      EXPECT_EQ(passed.port, from_backend ? kFront : kBack);
      EXPECT_EQ(segment_in(passed).flags, kTcpRst);
      EXPECT_TRUE(checksums_are_right(passed.frame));
      EXPECT_EQ(phase_of(who), FlowPhase::kReset);
      EXPECT_EQ(count(Event::k_flows_reset), reset + 1);
      EXPECT_EQ(count(Event::k_resets_sent), sent);
      // The RST does not carry the number that the other end expects. The answer of this end to its probe
      // still does.
      if (from_backend) {
        EXPECT_TRUE(is_rst_to_client(pass(kFront, ack_of_client(who)), who));
      } else {
        EXPECT_TRUE(is_rst_to_backend(pass(kBack, ack_of_backend(who, backend)), who, backend));
      }
      EXPECT_EQ(count(Event::k_flows_reset), reset + 1) << "once";
    }
  }
}

TEST_F(Rst, AnswersNoPacketWithoutAnAcknowledgementNumber) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = begin_reset(who);
  for (const uint8_t flags : {uint8_t{0}, kTcpFin, uint8_t{kTcpSyn | kTcpFin}}) {
    EXPECT_TRUE(drops(DropReason::k_flow_reset, kFront, client_segment(who, flags).build()));
    EXPECT_TRUE(drops(DropReason::k_flow_reset, kBack, backend_segment(who, backend, flags).build()));
  }
  EXPECT_TRUE(drops(DropReason::k_flow_reset, kBack, backend_segment(who, backend, kSyn).build()));
  EXPECT_EQ(phase_of(who), FlowPhase::kResetting);
  EXPECT_EQ(flow_of(who)->state.flags & (kFlowClientReset | kFlowBackendReset), 0);
}

TEST_F(Rst, IsNoAnswerToAnotherBackendOfTheService) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = begin_reset(who);
  EXPECT_TRUE(drops(DropReason::k_stale_backend, kBack, ack_of_backend(who, backend == 0 ? 1 : 0)));
}

TEST_F(Rst, LeavesIcmpErrorsOfTheFlowAlone) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = begin_reset(who);
  const Frame reply =
      PacketBuilder().ip(vip(kWeb).address, who.address).tcp(vip(kWeb).port.host(), who.port, kAck).build();
  const Sent error =
      pass(kFront, PacketBuilder().ipv4("198.18.1.1", "198.18.0.10").icmp_unreachable(reply, 28).build());
  EXPECT_EQ(error.port, kBack);
  EXPECT_EQ(error.destination_mac(), backend_mac(backend));
  EXPECT_EQ(phase_of(who), FlowPhase::kResetting);
}

// ---- afterwards

TEST_F(AfterReset, LatePacketsAreAnsweredAndRestoreNothing) {
  start();
  for (const uint16_t service : kTcpServices) {
    const Client who = client(service);
    const uint16_t backend = complete_reset(who);
    const uint64_t reset = count(Event::k_flows_reset);
    const uint32_t ended = flow_of(who)->state.tick;
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(is_rst_to_client(pass(kFront, client_segment(who, kAck).payload("more").build()), who));
      EXPECT_TRUE(is_rst_to_backend(pass(kBack, backend_segment(who, backend, kAck).payload("more").build()),
                                    who, backend));
    }
    EXPECT_EQ(phase_of(who), FlowPhase::kReset);
    EXPECT_EQ(flow_of(who)->state.tick, ended) << "late packets do not keep the entry either";
    EXPECT_EQ(count(Event::k_flows_reset), reset);
  }
}

TEST_F(AfterReset, EntryAgesByTheTimeoutOfClosedFlows) {
  start();
  const Client who = client(kWeb);
  complete_reset(who);
  let_pass(ruleset_input.timeouts.tcp_closed - 10);
  EXPECT_EQ(sweep_and_collect().size(), 0u);
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  let_pass(10);
  EXPECT_EQ(sweep_and_collect().size(), 0u);
  EXPECT_EQ(flow_of(who), std::nullopt);
  EXPECT_EQ(count(Event::k_flows_aged), 1u);
  EXPECT_EQ(count(Event::k_flows_reset), 1u);
}

TEST_F(AfterReset, ClientsSynBeginsANewFlow) {
  start();
  for (const bool completed : {false, true}) {
    for (const uint16_t service : kTcpServices) {
      const Client who = client(service, completed);
      flip({service}, Colour::kBlue);
      const uint16_t backend = completed ? complete_reset(who) : begin_reset(who);
      const uint64_t replaced = count(Event::k_flows_replaced), reset = count(Event::k_flows_reset);
      const uint16_t again = send_from_client(who, kSyn);
      EXPECT_EQ(colour_of(again), Colour::kGreen);
      EXPECT_EQ(colour_of(backend), Colour::kBlue);
      EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
      EXPECT_EQ(flow_of(who)->state.flags & (kFlowClientReset | kFlowBackendReset), 0);
      EXPECT_EQ(flow_of(who)->state.probes, 0);
      EXPECT_EQ(count(Event::k_flows_replaced), replaced + 1);
      EXPECT_EQ(count(Event::k_flows_reset), reset);
      EXPECT_TRUE(drops(DropReason::k_stale_backend, kBack, ack_of_backend(who, backend)));
    }
  }
}

// ---- a killed dataplane

TEST_F(Promise11Reset, ResetGoesOnWithOtherWorkersWhereItStopped) {
  start();
  const Client who = client(kWeb), another = client(kWeb, 1);
  const uint16_t backend = open_flow(who), other_backend = open_flow(another);
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  EXPECT_EQ(sweep_and_collect().size(), 4u);
  pass(kFront, ack_of_client(who));
  const Flow before = *flow_of(who);
  EXPECT_EQ(sweep_and_collect(3).size(), 0u) << "the probes are not repeated early";
  EXPECT_EQ(std::bit_cast<uint64_t>(flow_of(who)->state), std::bit_cast<uint64_t>(before.state));
  EXPECT_TRUE(is_rst_to_backend(pass(kBack, ack_of_backend(who, backend)), who, backend));
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  let_pass(kProbeTicks);
  EXPECT_EQ(sweep_and_collect(2).size(), 2u);
  EXPECT_EQ(flow_of(another)->state.probes, 2);
  EXPECT_EQ(flow_of(another)->backend, other_backend);
  EXPECT_TRUE(ledger_is_exact());
}

}  // namespace
}  // namespace teal::test
