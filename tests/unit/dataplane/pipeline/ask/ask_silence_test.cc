// SPDX-License-Identifier: Apache-2.0
//
// Backends that Teal cannot ask whether a connection is over (ask.h), or whose answer proves nothing.
#include "tests/unit/dataplane/pipeline/ask/ask_fixture.h"

namespace teal::test {
namespace {

using Silence = AskTest;
using BackendFin = AskTest;
using OnlyShakenHands = AskTest;

// ---- a backend that has only shaken hands

// In SYN-RECEIVED it answers a probe by a RST, although it has the connection.
TEST_F(OnlyShakenHands, RstIsNoProofThatTheConnectionIsOver) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  flip({kWeb}, Colour::kGreen);
  EXPECT_EQ(send_from_client(who, kSyn), backend) << "nothing is asked";
  EXPECT_EQ(take_asks().size(), 0u);
  send_from_client(who, kRst);
  EXPECT_TRUE(is_consumed(answer_to(probe(), false)));
  EXPECT_EQ(phase_of(who), FlowPhase::kReset) << "a client that only looked is gone";
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_TRUE(lives_on(who, backend)) << "the handshake is complete now";
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
}

TEST_F(OnlyShakenHands, SilenceAfterARstLetsSynsPassAndResetsNothing) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  send_from_client(who, kRst);
  pass_probe_times(3);
  collect();
  EXPECT_EQ(phase_of(who), FlowPhase::kClientFin);
  flip({kWeb}, Colour::kGreen);
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_EQ(pass(kBack, backend_segment(who, backend, kSynAck).build()).port, kFront)
      << "it may be a repeated one";
}

TEST_F(OnlyShakenHands, BackendThatIsDownLosesTheClient) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  words().set_held_back(backend, kDown);
  EXPECT_TRUE(is_held(who));
  let_pass(kProbeTicks);
  EXPECT_TRUE(is_held(who));
  EXPECT_NE(send_from_client(who, kSyn), backend);
}

TEST_F(OnlyShakenHands, SynAfterARstReplacesTheFlowWhereItsBackendIsTheChoice) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  send_from_client(who, kRst);
  EXPECT_TRUE(is_consumed(answer_to(probe(), false)));
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  EXPECT_EQ(count(Event::k_flows_created), 2u);
}

TEST_F(OnlyShakenHands, AnAckIsAProofThatTheBackendIsPastIt) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  send_from_client(who, kRst);
  EXPECT_TRUE(is_consumed(alive(who, backend)));
  EXPECT_FALSE(has_only_shaken_hands(flow_of(who)->state));
}

TEST_F(OnlyShakenHands, SynsDoNotHoldAResetEntry) {
  start();
  const Client who = client(kWeb);
  open_flow(who);
  flip({kWeb}, Colour::kGreen);
  send_from_client(who, kRst);
  EXPECT_TRUE(is_consumed(answer_to(probe(), false)));
  const uint32_t tick = flow_of(who)->state.tick;
  let_pass(10);
  send_from_client(who, kSyn);
  EXPECT_EQ(flow_of(who)->state.tick, tick);
}

// ---- silence

TEST_F(Silence, ComesAfterThreeProbesWithNumbersOfTheirOwn) {
  start();
  const Client who = client(kWeb);
  open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  std::set<uint32_t> numbers = {segment_in(probe()).ack};
  for (const int tries : {2, 3}) {
    EXPECT_EQ(sweep_and_collect().size(), 0u) << "too early";
    let_pass(kProbeTicks);
    const std::vector<Sent> sent = sweep_and_collect();
    ASSERT_EQ(sent.size(), 1u);
    numbers.insert(segment_in(sent[0]).ack);
    EXPECT_EQ(flow_of(who)->state.probes, tries);
  }
  EXPECT_EQ(numbers.size(), 3u);
  let_pass(kProbeTicks);
  EXPECT_EQ(sweep_and_collect().size(), 0u);
  EXPECT_EQ(count(Event::k_asks_unanswered), 1u);
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
}

TEST_F(Silence, AfterARstTheFlowHasTheTimeoutOfHalfClosedFlowsAndCountsAsLive) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  send_from_client(who, kRst);
  pass_probe_times(3);
  EXPECT_EQ(phase_of(who), FlowPhase::kClientFin);
  EXPECT_EQ(older(backend), 1u);
  EXPECT_TRUE(lives_on(who, backend)) << "it was forged";
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
}

// The backend's firewall drops probes and lets SYNs pass.
TEST_F(Silence, NewConnectionThatTheBackendBeginsAfterItIsReset) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  pass_probe_times(3);
  collect();
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_TRUE(is_rst_to_backend(pass(kBack, backend_segment(who, backend, kSynAck).build()), who, backend));
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
}

TEST_F(Silence, SynToTheFlowsBackendForgetsNoRst) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_talk(who);
  send_from_client(who, kRst);
  pass_probe_times(2);
  collect();
  ASSERT_EQ(flow_of(who)->state.probes, 3);
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  pass_probe_times(1);
  EXPECT_EQ(phase_of(who), FlowPhase::kClientFin);
}

TEST_F(Silence, ClientsNextSynDoesNotWaitForThreeProbes) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  let_pass(kProbeTicks - 1);
  EXPECT_TRUE(is_held(who)) << "the answer may come";
  let_pass(1);
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_EQ(count(Event::k_asks_unanswered), 1u);
  EXPECT_TRUE(is_rst_to_backend(pass(kBack, backend_segment(who, backend, kSynAck).build()), who, backend));
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
}

TEST_F(Silence, RepeatedSynAckIsResetToo) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  let_pass(kProbeTicks);
  send_from_client(who, kSyn);
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(is_rst_to_backend(pass(kBack, backend_segment(who, backend, kSynAck).build()), who, backend));
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
  EXPECT_TRUE(drops(DropReason::k_stale_backend, kBack, backend_segment(who, backend, kSynAck).build()));
}

TEST_F(Silence, OfABackendWithoutANextHopIsNoProof) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  header().next_hops[backend].store(Hop::kNone);
  EXPECT_TRUE(is_held(who));
  EXPECT_EQ(count(Event::k_asks), 0u);
  pass_probe_times(3);
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
}

TEST_F(Silence, OfABackendThatIsDownEndsTheFlow) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_talk(who);
  words().set_held_back(backend, kDown);
  EXPECT_TRUE(is_held(who));
  let_pass(kProbeTicks);
  EXPECT_TRUE(is_held(who));
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  EXPECT_NE(send_from_client(who, kSyn), backend);
}

// The old colour's server has been stopped.
TEST_F(Silence, RefusalOfASynThatPassedIsNotForTheClient) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  let_pass(kProbeTicks);
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_TRUE(is_consumed(backend_segment(who, backend, kRstAck).seq(0).build()));
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
  EXPECT_EQ(segment().worker(0).signals[backend][0].reset_by_backend.read(), 0u);
}

TEST_F(Silence, IsForgottenWhenTheChoiceIsTheFlowsBackendAgain) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  EXPECT_TRUE(is_consumed(alive(who, backend)));
  flip({kWeb}, Colour::kBlue);
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_EQ(pass(kBack, backend_segment(who, backend, kSynAck).build()).port, kFront);
}

// ---- a backend that has sent its FIN

TEST_F(BackendFin, SynPassesAndASynAckEndsTheFlow) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  pass(kBack, from_backend(who, backend, kFin));
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_EQ(take_asks().size(), 0u) << "TIME_WAIT answers like a live connection";
  EXPECT_TRUE(is_rst_to_backend(pass(kBack, backend_segment(who, backend, kSynAck).build()), who, backend));
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
}

TEST_F(BackendFin, SynMovesNothingIfTheBackendHasTheConnection) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  pass(kBack, from_backend(who, backend, kFin));
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_EQ(pass(kBack, alive(who, backend)).port, kFront);
  EXPECT_EQ(phase_of(who), FlowPhase::kBackendFin);
  EXPECT_TRUE(lives_on(who, backend));
}

TEST_F(BackendFin, OfBothEndsMakesASynANewFlowAtOnce) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  send_from_client(who, kFin);
  pass(kBack, from_backend(who, backend, kFin));
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
}

}  // namespace
}  // namespace teal::test
