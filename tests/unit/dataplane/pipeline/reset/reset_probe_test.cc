// SPDX-License-Identifier: Apache-2.0
//
// Promise 8: a drain may end by reset. These tests are about the probes that ask the ends of a flow for their
// numbers. reset_test.cc has the answers, reset_rules_test.cc the choice of flows.
#include <rte_mbuf.h>

#include "tests/unit/dataplane/pipeline/reset/reset_fixture.h"
#include "tests/unit/dataplane/ring_ports.h"

namespace teal::test {
namespace {

using Probe = ResetTest;
using Tries = ResetTest;
using Embryonic = ResetTest;

// ---- the probes

TEST_F(Probe, GoesToEachEndByItsHopAsAnAckWithImpossibleNumbers) {
  start();
  for (const uint16_t service : {kWeb, kWeb6}) {
    const Client who = client(service);
    const uint16_t backend = open_flow(who);
    const std::string client_text = to_string(Socket{who.address, Be16::from_host(who.port)});
    flip({service}, Colour::kGreen);
    reset_drained(service);
    const std::vector<Sent> sent = sweep_and_collect();
    ASSERT_EQ(sent.size(), 2u);
    const Sent& to_client = sent[0];
    EXPECT_EQ(to_client.port, kFront);
    EXPECT_EQ(to_client.from(), to_string(vip(service)));
    EXPECT_EQ(to_client.to(), client_text);
    EXPECT_EQ(to_client.destination_mac(), kClientMac);
    EXPECT_EQ(to_client.source_mac(), kEdgeMac);
    const Sent& to_backend = sent[1];
    EXPECT_EQ(to_backend.port, kBack);
    EXPECT_EQ(to_backend.from(), client_text);
    EXPECT_EQ(to_backend.to(), to_string(backend_socket(backend)));
    EXPECT_EQ(to_backend.destination_mac(), backend_mac(backend));
    EXPECT_EQ(to_backend.source_mac(), kBackMac);
    for (const Sent& probe : sent) {
      EXPECT_TRUE(is_bare(probe));
      EXPECT_EQ(segment_in(probe).flags, kTcpAck);
    }
    const std::set<uint32_t> numbers = {segment_in(sent[0]).seq, segment_in(sent[0]).ack,
                                        segment_in(sent[1]).seq, segment_in(sent[1]).ack};
    EXPECT_EQ(numbers.size(), 4u) << "of 32 random bits each";
    EXPECT_EQ(phase_of(who), FlowPhase::kResetting);
    EXPECT_EQ(flow_of(who)->state.probes, 1);
    EXPECT_EQ(segment().worker(0).flows[backend][0].live.load(), 1u) << "live until it is done";
  }
  EXPECT_EQ(count(Event::k_reset_probes), 4u);
  EXPECT_EQ(count(Event::k_flows_reset), 0u);
}

TEST_F(Probe, LeavesByTheLastHopOfTheFlow) {
  start();
  const Client who = client(kWeb);
  open_flow(who);
  segment().flows().last_hops[flow_of(who)->state.last_hop] = Hop{kSide, kDefaultHopMac}.word();
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  const std::vector<Sent> sent = sweep_and_collect();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[1].port, kSide);
  EXPECT_EQ(sent[1].destination_mac(), kDefaultHopMac);
  EXPECT_EQ(sent[1].source_mac(), kSideMac);
}

TEST_F(Probe, IsNotSentToAnEndWithoutAHop) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  header().next_hops[backend].store(Hop::kNone);
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  const std::vector<Sent> sent = sweep_and_collect();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].port, kFront);
  EXPECT_EQ(count(Event::k_reset_probes), 1u);
}

TEST_F(Probe, ByAPortThatDoesNotRunIsADropWithAReason) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  header().next_hops[backend].store(Hop{kMaxPorts - 1, backend_mac(backend)}.word());
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  EXPECT_EQ(sweep_and_collect().size(), 1u);
  EXPECT_EQ(count(DropReason::k_no_next_hop), 1u);
  EXPECT_EQ(count(Event::k_reset_probes), 2u);
}

TEST_F(Probe, WithoutAnMbufCountsAsLost) {
  start();
  const Client who = client(kWeb);
  open_flow(who);
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  std::vector<rte_mbuf*> all;
  while (rte_mbuf* mbuf = rte_pktmbuf_alloc(RingPorts::get().pool())) all.push_back(mbuf);
  EXPECT_EQ(sweep_and_collect().size(), 0u);
  rte_pktmbuf_free_bulk(all.data(), static_cast<unsigned>(all.size()));
  EXPECT_EQ(phase_of(who), FlowPhase::kResetting);
  let_pass(kProbeTicks);
  EXPECT_EQ(sweep_and_collect().size(), 2u) << "the second try";
}

TEST_F(Probe, OfManyFlowsAreAllSent) {
  constexpr uint32_t kFlows = 300;
  start();
  for (uint32_t i = 0; i < kFlows; ++i) open_flow(client(kWeb, i));
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  std::set<std::string> ends;
  for (const Sent& probe : sweep_and_collect()) ends.insert(probe.to() + " from " + probe.from());
  EXPECT_EQ(ends.size(), 2 * kFlows) << "more than a burst, one to each end";
  EXPECT_EQ(count(Event::k_reset_probes), 2 * kFlows);
  EXPECT_EQ(count(DropReason::k_tx_full), 0u);
}

// ---- three tries

TEST_F(Tries, AreSixHundredMillisecondsApartAndAfterTheThirdTheFlowEnds) {
  EXPECT_GT((kProbeTicks - 1) * kTickNs, 599'000'000u) << "Linux answers one probe in 500 ms";
  start();
  const Client who = client(kWeb);
  const uint16_t backend = begin_reset(who);
  for (const int tries : {2, 3}) {
    EXPECT_EQ(sweep_and_collect().size(), 0u) << "too early";
    let_pass(kProbeTicks);
    EXPECT_EQ(sweep_and_collect().size(), 2u);
    EXPECT_EQ(flow_of(who)->state.probes, tries);
  }
  EXPECT_EQ(sweep_and_collect().size(), 0u);
  EXPECT_EQ(phase_of(who), FlowPhase::kResetting);
  EXPECT_EQ(count(Event::k_flows_reset), 0u);
  let_pass(kProbeTicks);
  EXPECT_EQ(sweep_and_collect().size(), 0u);
  EXPECT_EQ(flow_of(who), std::nullopt);
  EXPECT_EQ(count(Event::k_flows_reset), 1u);
  EXPECT_EQ(count(Event::k_flows_aged), 0u);
  EXPECT_EQ(segment().worker(0).flows[backend][0].live.load(), 0u);
}

TEST_F(Tries, AreForTheEndThatHasNotAnsweredAlone) {
  start();
  for (const bool client_answered : {true, false}) {
    const Client who = client(kWeb, client_answered);
    flip({kWeb}, Colour::kBlue);
    const uint16_t backend = begin_reset(who);
    client_answered ? pass(kFront, ack_of_client(who)) : pass(kBack, ack_of_backend(who, backend));
    let_pass(kProbeTicks);
    std::vector<Sent> sent = sweep_and_collect();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].port, client_answered ? kBack : kFront);
    let_pass(kProbeTicks);
    EXPECT_EQ(sweep_and_collect().size(), 1u);
    let_pass(kProbeTicks);
    EXPECT_EQ(sweep_and_collect().size(), 0u);
    EXPECT_EQ(flow_of(who), std::nullopt);
  }
  EXPECT_EQ(count(Event::k_flows_reset), 2u);
}

TEST_F(Tries, EndWhereTheAnswerComesLate) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = begin_reset(who);
  let_pass(kProbeTicks);
  sweep_and_collect();
  EXPECT_TRUE(is_rst_to_client(pass(kFront, ack_of_client(who)), who));
  EXPECT_TRUE(is_rst_to_backend(pass(kBack, ack_of_backend(who, backend)), who, backend));
  let_pass(kProbeTicks);
  EXPECT_EQ(sweep_and_collect().size(), 0u);
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
}

// ---- no connection yet

TEST_F(Embryonic, FlowWhoseBackendNeverAnsweredEndsWithoutProbes) {
  start();
  const Client begun = client(kWeb, 0), midstream = client(kWeb, 1);
  send_from_client(begun, kSyn);
  send_from_client(midstream, kAck);
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  EXPECT_EQ(sweep_and_collect().size(), 0u);
  EXPECT_EQ(flows(), 0u);
  EXPECT_EQ(count(Event::k_flows_reset), 2u);
  EXPECT_EQ(colour_of(send_from_client(begun, kSyn)), Colour::kGreen) << "the client's next SYN";
}

TEST_F(Embryonic, FlowWhoseBackendAnsweredIsReset) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  pass(kBack, from_backend(who, backend, kSynAck));
  EXPECT_TRUE(is_unassured(who));
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  EXPECT_EQ(sweep_and_collect().size(), 2u);
  EXPECT_TRUE(is_rst_to_backend(pass(kBack, backend_segment(who, backend, kSynAck).build()), who, backend));
  EXPECT_TRUE(is_rst_to_client(pass(kFront, ack_of_client(who)), who));
  EXPECT_EQ(count(Event::k_flows_reset), 1u);
}

TEST_F(Embryonic, FlowThatWasAssuredBeforeARstIsReset) {
  start();
  const Client who = client(kWeb);
  pass(kBack, from_backend(who, open_flow(who), kRst));  // of a host beside the backend
  pass(kFront, from_client(who, kAck, "data"));
  ASSERT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  flip({kWeb}, Colour::kGreen);
  reset_drained(kWeb);
  EXPECT_EQ(sweep_and_collect().size(), 2u);
}

}  // namespace
}  // namespace teal::test
