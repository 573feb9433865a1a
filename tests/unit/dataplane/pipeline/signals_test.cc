// SPDX-License-Identifier: Apache-2.0
//
// The signals that flows give about their backends: each flow counts once, by the first outcome.
#include "dataplane/pipeline/signals.h"

#include <bit>

#include "control/metrics/signals.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class SignalsTest : public WorkerTest {
 protected:
  Outcomes outcomes(uint16_t backend, Colour colour = Colour::kBlue) const {
    Outcomes sum;
    for (uint32_t worker = 0; worker < kMaxTestWorkers; ++worker)
      sum.add(segment().worker(worker).signals[backend][static_cast<int>(colour)]);
    return sum;
  }
  // Lets time pass tick by tick, with its sweeps.
  void wait(uint32_t ticks) {
    for (; ticks > 0; --ticks) {
      let_pass(1);
      settle();
    }
  }
  void wait_for_no_answer() { wait(2 * kTicksPerSecond + 1); }  // 1 s, and a round of the sweep
};

using BackendSignal = SignalsTest;

TEST_F(BackendSignal, ARepeatedSynCountsAsUnansweredOnce) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1}));
  wait(Signals::kRepeatTicks);
  send_from_client(who, kSyn);
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1, .unanswered = 1}));
  send_from_client(who, kSyn);
  wait_for_no_answer();
  pass(kBack, from_backend(who, backend, kSynAck));
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1, .unanswered = 1})) << "the first outcome counts";
}

TEST_F(BackendSignal, CopiesOfASynSayNothing) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  send_from_client(who, kSyn);
  wait(Signals::kRepeatTicks - 1);
  send_from_client(who, kSyn);
  pass(kBack, from_backend(who, backend, kSynAck));
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1, .answered = 1}));
}

TEST_F(BackendSignal, ASecondWithoutAnAnswerCountsAsUnansweredOnce) {
  start();
  for (const uint16_t service : {kWeb, kWeb6}) {
    const Client who = client(service);
    const uint16_t backend = send_from_client(who, kSyn);
    wait(kTicksPerSecond - 1);
    EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1}));
    wait(kTicksPerSecond + 2);
    EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1, .unanswered = 1}));
    send_from_client(who, kSyn);
    wait_for_no_answer();
    EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1, .unanswered = 1}));
  }
}

TEST_F(BackendSignal, ARstBeforeTheHandshakeIsARefusalAndTheNextSynAnotherFlow) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  pass(kBack, from_backend(who, backend, kRstAck));
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1, .refused = 1}));
  pass(kBack, from_backend(who, backend, kRstAck));
  wait_for_no_answer();
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1, .refused = 1}));
  ASSERT_EQ(send_from_client(who, kSyn), backend);
  pass(kBack, from_backend(who, backend, kSynAck));
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 2, .answered = 1, .refused = 1}));
}

TEST_F(BackendSignal, ARstAfterTheHandshakeIsAResetByTheBackend) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1, .answered = 1}));
  pass(kBack, from_backend(who, backend, kRst));
  pass(kBack, from_backend(who, backend, kRst));
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1, .answered = 1, .reset_by_backend = 1}));
}

TEST_F(BackendSignal, ARstOfTheClientOrOfAHalfClosedFlowIsNoReset) {
  start();
  uint16_t backend = kNoId;
  uint64_t flows_of_backend = 0;
  for (const auto& [from_backend_first, flags] :
       {std::pair{false, kFin}, std::pair{true, kFin}, std::pair{false, kRst}}) {
    const Client who = client(kWeb6, static_cast<uint32_t>(flows_of_backend++));
    backend = open_flow(who);
    from_backend_first ? pass(kBack, from_backend(who, backend, flags))
                       : pass(kFront, from_client(who, flags));
    pass(kBack, from_backend(who, backend, kRst));
  }
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 3, .answered = 3}));
}

TEST_F(BackendSignal, AClientThatGivesUpBeforeTheAnswerSaysNothing) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  send_from_client(who, kRst);
  wait_for_no_answer();
  EXPECT_EQ(outcomes(backend), (Outcomes{.begun = 1}));
}

TEST_F(BackendSignal, UdpCountsTheFirstReplyOrASecondWithoutOne) {
  start();
  for (const uint16_t service : {kEcho, kEcho6}) {
    const Client answered = client(service, 0), silent = client(service, 1);
    const uint16_t backend = send_from_client(answered);
    pass(kBack, from_backend(answered, backend));
    pass(kBack, from_backend(answered, backend));
    Outcomes expected{.begun = 1, .answered = 1};
    EXPECT_EQ(outcomes(backend), expected);
    const uint16_t other_backend = send_from_client(silent);
    for (int i = 0; i < 3; ++i) {  // its packets do not put the end of the wait off
      wait(40);
      send_from_client(silent);
    }
    wait(kTicksPerSecond);
    pass(kBack, from_backend(silent, other_backend));
    if (other_backend != backend) expected = {};
    ++expected.begun;
    ++expected.udp_unanswered;
    EXPECT_EQ(outcomes(other_backend), expected);
  }
}

TEST_F(BackendSignal, MidstreamAndStatelessFlowsAreNotCounted) {
  start({.flow_capacity = 24, .partitions = 1});
  const Client midstream = client(kWeb);
  const uint16_t backend = send_from_client(midstream, kAck);
  pass(kBack, from_backend(midstream, backend, kAck));
  pass(kBack, from_backend(midstream, backend, kRst));
  wait_for_no_answer();
  for (const uint16_t id : {0, 1}) EXPECT_EQ(outcomes(id), Outcomes{});
  uint32_t number = 0;
  while (count(Event::k_stateless) == 0) send_from_client(client(kWeb6, number++), kSyn);
  const Client stateless = client(kWeb6, number);
  ASSERT_EQ(send_from_client(stateless, kSyn), 4);
  ASSERT_EQ(flow_of(stateless), std::nullopt);
  EXPECT_EQ(outcomes(4).begun, number - 1);
  pass(kBack, from_backend(stateless, 4, kRst));
  EXPECT_EQ(outcomes(4), (Outcomes{.begun = number - 1}));
  EXPECT_EQ(segment().worker(0).stateless_answers[4].read(), 0u);
  pass(kBack, from_backend(stateless, 4, kSynAck));
  EXPECT_EQ(segment().worker(0).stateless_answers[4].read(), 1u) << "for the ejector";
}

TEST_F(BackendSignal, AFlowThatIsChosenAgainIsUnansweredByTheBackendItLeaves) {
  start();
  const Client who = client(kWeb);
  const uint16_t first = send_from_client(who, kSyn);
  words().set_held_back(first, kDown);
  const uint16_t second = send_from_client(who, kSyn);
  ASSERT_NE(second, first);
  EXPECT_EQ(outcomes(first), (Outcomes{.begun = 1, .unanswered = 1}));
  EXPECT_EQ(outcomes(second), (Outcomes{.begun = 1}));
}

TEST_F(BackendSignal, OutcomesBelongToTheColourOfTheFlow) {
  for (auto& weight : ruleset_input.backends[0].weights) weight = 1;
  ruleset_input.backends[1].weights = {};
  ruleset_input.backends[2].weights = {};
  ruleset_input.backends[3].weights = {};
  start();
  ASSERT_EQ(open_flow(client(kWeb, 0)), 0);
  flip({kWeb}, Colour::kGreen);
  ASSERT_EQ(send_from_client(client(kWeb, 1), kSyn), 0);
  pass(kBack, from_backend(client(kWeb, 1), 0, kRstAck));
  EXPECT_EQ(outcomes(0, Colour::kBlue), (Outcomes{.begun = 1, .answered = 1}));
  EXPECT_EQ(outcomes(0, Colour::kGreen), (Outcomes{.begun = 1, .refused = 1}));
}

TEST_F(BackendSignal, ARestartForgetsNoOutcomeAndCountsNoneAgain) {
  start();
  const Client answered = client(kWeb6, 0), silent = client(kWeb6, 1), waiting = client(kWeb6, 2);
  open_flow(answered);
  send_from_client(silent, kSyn);
  wait(Signals::kRepeatTicks);
  send_from_client(silent, kSyn);
  send_from_client(waiting, kSyn);
  restart(2);
  EXPECT_EQ(outcomes(4), (Outcomes{.begun = 3, .answered = 1, .unanswered = 1}));
  wait_for_no_answer();
  EXPECT_EQ(outcomes(4), (Outcomes{.begun = 3, .answered = 1, .unanswered = 2}));
}

TEST_F(BackendSignal, TheSweepAsksAboutAFlowUntilItsOutcomeIsKnown) {
  start();
  const FlowTable table = segment().flow_table();
  const auto young = [&] {
    int flows = 0;
    for (uint64_t bucket = 0; bucket < table.geometry().buckets(); ++bucket)
      flows += std::popcount(table.young(bucket));
    return flows;
  };
  const Client answered = client(kWeb6, 0), silent = client(kWeb6, 1), midstream = client(kWeb6, 2);
  wait(2 * kTicksPerSecond);  // past the first rounds
  open_flow(answered);
  send_from_client(midstream, kAck);
  EXPECT_EQ(young(), 2);
  wait(kTicksPerSecond + 1);
  EXPECT_EQ(young(), 0) << "one is known, the other one has none";
  send_from_client(silent, kSyn);
  wait(kTicksPerSecond - 1);
  EXPECT_EQ(young(), 1);
  wait(kTicksPerSecond + 1);
  EXPECT_EQ(young(), 0);
  EXPECT_EQ(outcomes(4), (Outcomes{.begun = 2, .answered = 1, .unanswered = 1}));
}

TEST_F(BackendSignal, WorkersAddUp) {
  start({.workers = 2});
  for (uint32_t i = 0; i < 100; ++i) open_flow(client(kWeb6, i));
  EXPECT_GT(segment().worker(0).signals[4][0].begun.read(), 0u);
  EXPECT_GT(segment().worker(1).signals[4][0].begun.read(), 0u);
  EXPECT_EQ(outcomes(4), (Outcomes{.begun = 100, .answered = 100}));
}

}  // namespace
}  // namespace teal::test
