// SPDX-License-Identifier: Apache-2.0
//
// Promise 18: a RST or a SYN that anybody can forge ends and moves no flow. Teal asks the backend (ask.h).
#include "tests/unit/dataplane/pipeline/ask/ask_fixture.h"

namespace teal::test {
namespace {

using Promise18Ask = AskTest;
using Promise2Ask = AskTest;
using Ask = AskTest;

// ---- a stranger's packets

TEST_F(Promise18Ask, ForgedRstAndSynAfterAFlipNeitherEndNorMoveAFlow) {
  start();
  for (const uint16_t service : {kWeb, kWeb6}) {
    const Client who = client(service);
    const uint16_t backend = open_and_flip(who);
    EXPECT_EQ(send_from_client(who, kRst), backend) << "the backend knows by its number that it is forged";
    EXPECT_TRUE(is_held(who));
    EXPECT_EQ(segment_in(probe()).flags, kTcpAck);
    EXPECT_TRUE(is_consumed(alive(who, backend)));
    EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
    EXPECT_TRUE(lives_on(who, backend));
  }
  EXPECT_EQ(count(Event::k_asks), 2u);
}

TEST_F(Promise18Ask, ForgedRstMakesNoDrainLookFinished) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  send_from_client(who, kRst);
  EXPECT_EQ(phase_of(who), FlowPhase::kAsked);
  EXPECT_EQ(live(backend), 1u);
  EXPECT_EQ(older(backend), 1u);
  EXPECT_TRUE(is_consumed(alive(who, backend)));
  EXPECT_EQ(older(backend), 1u);
}

TEST_F(Promise18Ask, IdleFlowSurvivesAForgedRstByItsWholeTimeout) {
  ruleset_input.timeouts.tcp_closed = 10;
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_talk(who);
  send_from_client(who, kRst);
  EXPECT_TRUE(is_consumed(alive(who, backend)));
  let_pass(ruleset_input.timeouts.tcp_established - 1);
  sweep();
  EXPECT_TRUE(lives_on(who, backend));
}

TEST_F(Promise18Ask, ForgedSynOnALiveFlowMovesNothing) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  EXPECT_TRUE(is_consumed(alive(who, backend)));
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
  EXPECT_TRUE(lives_on(who, backend));
}

// ---- a connection that is over

TEST_F(Ask, RstOfAClientThatHasEndedItsConnectionEndsTheFlow) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  send_from_client(who, kRst);
  EXPECT_TRUE(is_consumed(answer_to(probe(), false)));
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  EXPECT_EQ(live(backend), 0u);
  EXPECT_EQ(older(backend), 0u);
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
  EXPECT_EQ(count(Event::k_flows_created), 2u);
}

TEST_F(Promise2Ask, SynThatMeetsAnOrphanedEntryBeginsOnTheActiveColour) {
  start();
  const Client who = client(kWeb);
  open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  EXPECT_TRUE(is_consumed(answer_to(probe(), false)));
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
}

TEST_F(Promise2Ask, SynThatMeetsAHalfClosedEntryBeginsOnTheActiveColour) {
  start();
  const Client who = client(kWeb);
  open_and_flip(who);
  send_from_client(who, kFin);
  EXPECT_TRUE(is_held(who));
  EXPECT_TRUE(is_consumed(answer_to(probe(), false)));
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
}

TEST_F(Ask, IsAboutPreviewsToo) {
  start();
  Client who = client(kWeb);
  who.to_preview = true;
  const uint16_t backend = open_and_flip(who);
  EXPECT_EQ(colour_of(backend), Colour::kGreen);
  EXPECT_TRUE(is_held(who));
  EXPECT_TRUE(is_consumed(answer_to(probe(), false)));
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kBlue);
}

TEST_F(Ask, IsDoneByTheOwnerOfTheFlow) {
  start({.workers = 3});
  for (uint32_t i = 0; i < 12; ++i) open_and_talk(client(kWeb, i));
  flip({kWeb}, Colour::kGreen);
  for (uint32_t i = 0; i < 12; ++i) EXPECT_TRUE(is_held(client(kWeb, i)));
  EXPECT_EQ(take_asks().size(), 12u);
}

// ---- the probe

TEST_F(Ask, ProbeGoesFromTheClientToTheBackendBehindTheRst) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  inject(kFront, from_client(who, kRst));
  settle();
  const std::vector<Sent> sent = collect();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(segment_in(sent[0]).flags, kTcpRst);
  const Sent& probe = sent[1];
  EXPECT_TRUE(is_bare(probe));
  EXPECT_EQ(segment_in(probe).flags, kTcpAck);
  EXPECT_EQ(probe.port, kBack);
  EXPECT_EQ(probe.from(), "198.18.1.101:40000");
  EXPECT_EQ(probe.to(), to_string(backend_socket(backend)));
  EXPECT_EQ(probe.destination_mac(), backend_mac(backend));
}

TEST_F(Ask, NothingIsAskedWhereTheChoiceNamesTheFlowsBackend) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
  EXPECT_EQ(take_asks().size(), 0u);
}

TEST_F(Ask, NothingIsAskedAboutAFlowThatIsNotAssured) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  pass(kBack, from_backend(who, backend, kSynAck));
  flip({kWeb}, Colour::kGreen);
  EXPECT_EQ(send_from_client(who, kSyn), backend) << "its SYN-ACK may be lost: promise 6";
  send_from_client(who, kRst);
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  EXPECT_EQ(take_asks().size(), 0u);
}

TEST_F(Ask, EverythingElsePassesMeanwhile) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(lives_on(who, backend));
  for (const uint8_t flags : {kAck, kRst}) EXPECT_EQ(send_from_client(who, flags), backend);
  EXPECT_EQ(phase_of(who), FlowPhase::kAsked);
  EXPECT_EQ(take_asks().size(), 1u);
}

TEST_F(Ask, RstOfTheBackendIsBelievedAndPasses) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  EXPECT_EQ(pass(kBack, backend_segment(who, backend, kRst, 0).seq(5).build()).port, kFront);
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  EXPECT_EQ(segment().worker(0).signals[backend][0].reset_by_backend.read(), 0u);
}

TEST_F(Ask, FinsAreNotForgotten) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  send_from_client(who, kFin);
  EXPECT_TRUE(is_held(who));
  EXPECT_TRUE(is_consumed(alive(who, backend)));
  EXPECT_EQ(phase_of(who), FlowPhase::kClientFin);
  send_from_client(who, kRst);
  EXPECT_EQ(pass(kBack, from_backend(who, backend, kFin)).port, kFront);
  EXPECT_EQ(phase_of(who), FlowPhase::kClosed);
}

// The first ACK of the backend is taken for the answer, so a stranger could make Teal consume all ACKs.
TEST_F(Promise18Ask, StreamOfForgedRstsCostsOneAckInTheTimeOfAProbe) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_talk(who);
  for (int i = 0; i < 50; ++i) {
    send_from_client(who, kRst);
    EXPECT_EQ(pass(kBack, alive(who, backend)).port == kFront, i != 0) << i;
  }
  EXPECT_EQ(take_asks().size(), 1u);
  EXPECT_EQ(phase_of(who), FlowPhase::kAsked) << "one of them may be real";
  let_pass(kProbeTicks);
  EXPECT_EQ(sweep_and_collect().size(), 1u);
}

// An ACK that was under way is taken for the answer. The answer itself comes later.
TEST_F(Ask, RstThatComesAfterAnAckStillEndsTheFlowAndIsNoSignal) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  send_from_client(who, kRst);
  EXPECT_TRUE(is_consumed(alive(who, backend)));
  EXPECT_TRUE(is_consumed(answer_to(probe(), false)));
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
  EXPECT_EQ(segment().worker(0).signals[backend][0].reset_by_backend.read(), 0u);
}

TEST_F(Ask, LateAnswerDoesNotEndTheNextFlow) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_talk(who);
  send_from_client(who, kRst);
  const Sent first = probe();
  EXPECT_TRUE(is_consumed(answer_to(first, false)));
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_TRUE(is_consumed(answer_to(first, false)));
  EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
}

// The client has lost its connection, the backend has not: the backend's answer makes the client reset it.
TEST_F(Ask, AfterAnAckTheNextSynPassesToTheBackend) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  EXPECT_TRUE(is_consumed(alive(who, backend)));
  take_asks();
  EXPECT_EQ(send_from_client(who, kSyn), backend);
  EXPECT_EQ(pass(kBack, alive(who, backend)).port, kFront) << "this one is for the client";
  let_pass(kProbeTicks);  // a client's SYNs are a second apart
  send_from_client(who, kRst);
  EXPECT_TRUE(is_consumed(answer_to(probe(), false)));
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
}

TEST_F(Ask, AfterAWhileAnotherSynIsAskedAbout) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  EXPECT_TRUE(is_consumed(alive(who, backend)));
  let_pass(Asks::kSynPassTicks);
  EXPECT_TRUE(is_held(who));
  EXPECT_EQ(take_asks().size(), 2u);
}

TEST_F(Ask, ResetOfADrainTakesOver) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_and_flip(who);
  send_from_client(who, kRst);
  reset_drained(kWeb);
  EXPECT_EQ(sweep_and_collect().size(), 2u) << "a probe for each end";
  EXPECT_EQ(phase_of(who), FlowPhase::kResetting);
  EXPECT_EQ(flow_of(who)->state.probes, 1);
  pass(kFront, ack_of_client(who));
  pass(kBack, ack_of_backend(who, backend));
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
}

TEST_F(Ask, ResetOfADrainProbesTheBackendOfAHalfClosedFlowToo) {
  start();
  const Client who = client(kWeb);
  open_and_flip(who);
  send_from_client(who, kFin);
  send_from_client(who, kRst);
  reset_drained(kWeb);
  EXPECT_EQ(sweep_and_collect().size(), 2u);
}

TEST_F(Ask, GoesOnAfterARestartOfTheDataplane) {
  start();
  const Client who = client(kWeb);
  open_and_flip(who);
  EXPECT_TRUE(is_held(who));
  const Sent first = probe();
  restart(2);
  EXPECT_TRUE(is_consumed(answer_to(first, false)));
  EXPECT_EQ(phase_of(who), FlowPhase::kReset);
}

TEST_F(Ask, ChoiceThatCannotBeReachedIsAnotherOne) {
  start();
  const Client who = client(kWeb);
  open_and_flip(who);
  header().next_hops[chosen_backend(who, Colour::kGreen)].store(Hop::kNone);
  EXPECT_TRUE(is_held(who)) << "the old colour would take it";
}

TEST_F(Ask, FlowsBeyondTheListAreAskedAboutByTheSweep) {
  constexpr uint32_t kFlows = 400;  // the list has 256 places, and a burst has 64
  start({.workers = 2, .flow_capacity = 4'000});
  for (uint32_t i = 0; i < kFlows; ++i) open_and_talk(client(kWeb, i));
  take_asks();
  for (uint32_t i = 0; i < kFlows; ++i) inject(kFront, from_client(client(kWeb, i), kRst), i % 2);
  settle();
  for (int round = 0; round < 3; ++round) {
    let_pass(kProbeTicks);
    sweep(2);
  }
  EXPECT_GE(count(Event::k_asks), kFlows);
  collect();
}

TEST_F(Ask, FlowsBeyondTheRateStayUntilThereAreTokens) {
  constexpr uint32_t kFlows = Asks::kAsksPerSecond / 10 + 500;  // the bucket holds a tenth of a second
  start({.flow_capacity = 2 * kFlows});
  for (uint32_t i = 0; i < kFlows; ++i) open_and_talk(client(kWeb, i));
  for (uint32_t i = 0; i < kFlows; ++i) send_from_client(client(kWeb, i), kRst);
  EXPECT_EQ(count(Event::k_asks), Asks::kAsksPerSecond / 10);
  EXPECT_EQ(phase_of(client(kWeb, kFlows - 1)), FlowPhase::kAsked);
  EXPECT_EQ(flow_of(client(kWeb, kFlows - 1))->state.probes, 0);
  let_pass(kProbeTicks);
  sweep();
  EXPECT_GE(flow_of(client(kWeb, kFlows - 1))->state.probes, 1);
  collect();
}

}  // namespace
}  // namespace teal::test
