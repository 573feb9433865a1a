// SPDX-License-Identifier: Apache-2.0
//
// The outcomes that a judgement may count: of flows that the hash sent to their colour, born in the trial. A
// flow fails once. trial_model_test.cc compares them with the plainest version.
#include "dataplane/pipeline/trials.h"

#include "control/metrics/trials.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class TrialsTest : public WorkerTest {
 protected:
  // The sum over workers and cells.
  TrialCounts counts(uint16_t service, Colour colour = Colour::kBlue) const {
    TrialCounts sum;
    for (uint32_t worker = 0; worker < kMaxTestWorkers; ++worker)
      for (const TrialCounters& cell : segment().worker(worker).trials[service][static_cast<int>(colour)])
        sum += counts_of(cell);
    return sum;
  }
  void wait(uint32_t ticks) {
    for (; ticks > 0; --ticks) {
      let_pass(1);
      settle();
    }
  }
  void wait_for_no_answer() { wait(2 * kTicksPerSecond + 1); }
  // Opens a flow and sends its first data.
  uint16_t ask(const Client& who) {
    const uint16_t backend = open_flow(who);
    pass(kFront, from_client(who, kAck, "GET /"));
    return backend;
  }
  void refuse(const Client& who) {
    const uint16_t backend = send_from_client(who, kSyn);
    pass(kBack, from_backend(who, backend, kRstAck));
  }
  void begin_trial(uint16_t service) {
    splits->services[service].counted_from = static_cast<uint32_t>(next_generation());
    publish_splits();
    settle();
  }
};

using Trial = TrialsTest;

TEST_F(Trial, EachSignalCountsWhereTheBackendsSignalDoes) {
  start();
  refuse(client(kWeb, 0));
  EXPECT_EQ(counts(kWeb), (TrialCounts{.begun = 1, .refused = 1}));
  send_from_client(client(kWeb, 1), kSyn);
  wait(Signals::kRepeatTicks);
  send_from_client(client(kWeb, 1), kSyn);
  EXPECT_EQ(counts(kWeb), (TrialCounts{.begun = 2, .refused = 1, .unanswered = 1}));
  send_from_client(client(kWeb, 2), kSyn);
  wait_for_no_answer();
  EXPECT_EQ(counts(kWeb), (TrialCounts{.begun = 3, .refused = 1, .unanswered = 2}));
  const uint16_t backend = open_flow(client(kWeb, 3));
  pass(kBack, from_backend(client(kWeb, 3), backend, kRst));
  EXPECT_EQ(counts(kWeb), (TrialCounts{.begun = 4, .refused = 1, .unanswered = 2, .reset = 1}));
  send_from_client(client(kEcho6));
  wait_for_no_answer();
  EXPECT_EQ(counts(kEcho6), (TrialCounts{.begun = 1, .no_reply = 1}));
  for (const uint16_t service : {kWeb, kEcho6}) EXPECT_EQ(counts(service, Colour::kGreen), TrialCounts{});
}

TEST_F(Trial, AFlowFailsOnce) {
  start();
  const Client who = client(kWeb6);
  const uint16_t backend = send_from_client(who, kSyn);
  wait(Signals::kRepeatTicks);
  send_from_client(who, kSyn);
  pass(kBack, from_backend(who, backend, kSynAck));
  send_from_client(who, kAck);
  pass(kBack, from_backend(who, backend, kRst));
  EXPECT_EQ(counts(kWeb6), (TrialCounts{.begun = 1, .unanswered = 1}));
  const Client hangs = client(kWeb, 1);
  const uint16_t of_hangs = ask(hangs);
  wait(kTicksPerSecond + 8);
  pass(kBack, from_backend(hangs, of_hangs, kRst));
  EXPECT_EQ(counts(kWeb), (TrialCounts{.begun = 1, .measured = 1, .slow = 1}));
}

TEST_F(Trial, AFlowThatIsChosenAgainBeginsOnceAndFailsOnceWhereItBegan) {
  start();
  const Client who = client(kWeb);
  send_from_client(who, kSyn);
  flip({kWeb}, Colour::kGreen);
  const uint16_t backend = send_from_client(who, kSyn);
  ASSERT_EQ(colour_of(backend), Colour::kGreen);
  EXPECT_EQ(counts(kWeb), (TrialCounts{.begun = 1, .unanswered = 1}));
  pass(kBack, from_backend(who, backend, kRstAck));
  EXPECT_EQ(counts(kWeb, Colour::kGreen), TrialCounts{});
  EXPECT_EQ(segment().worker(0).services[kWeb][1].chosen_again.read(), 1u);
  ASSERT_EQ(send_from_client(who, kSyn), backend);  // the flow is over: this one is new
  EXPECT_EQ(counts(kWeb, Colour::kGreen), (TrialCounts{.begun = 1}));
}

TEST_F(Trial, AUdpFlowThatIsCutBeginsOnce) {
  ruleset_input.services[kEcho].udp_cut = true;
  start();
  const Client who = client(kEcho);
  open_flow(who);
  flip({kEcho}, Colour::kGreen);
  ASSERT_EQ(colour_of(send_from_client(who)), Colour::kGreen);
  wait_for_no_answer();
  EXPECT_EQ(counts(kEcho), (TrialCounts{.begun = 1}));
  EXPECT_EQ(counts(kEcho, Colour::kGreen), TrialCounts{});
}

TEST_F(Trial, MidstreamFlowsDoNotCount) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kAck);
  pass(kBack, from_backend(who, backend, kAck));
  pass(kBack, from_backend(who, backend, kRst));
  EXPECT_EQ(counts(kWeb), TrialCounts{});
}

TEST_F(Trial, OutcomesOfFlowsThatAreOlderThanTheTrialDoNotCount) {
  start();
  const Client older = client(kWeb6, 0), younger = client(kWeb6, 1);
  const uint16_t backend = open_flow(older);
  begin_trial(kWeb6);
  open_flow(younger);
  for (const Client& who : {older, younger}) pass(kBack, from_backend(who, backend, kRst));
  EXPECT_EQ(counts(kWeb6), (TrialCounts{.begun = 2, .reset = 1}));
}

TEST_F(Trial, SlowIsLongerThanTheTimeThatTheTrafficSplitNames) {
  splits->services[kWeb6].slow_us = 50'000;  // 5 ticks
  start();
  const Client prompt = client(kWeb6, 0), slow = client(kWeb6, 1), hangs = client(kWeb6, 2);
  for (const auto& [who, ticks] : {std::pair{prompt, 5}, std::pair{slow, 6}}) {
    ask(who);
    for (int i = 0; i < ticks; ++i) let_pass(1);
    pass(kBack, from_backend(who, 4, kAck, "200 OK"));
  }
  EXPECT_EQ(counts(kWeb6), (TrialCounts{.begun = 2, .measured = 2, .slow = 1}));
  ask(hangs);
  wait(6 + 8);
  EXPECT_EQ(counts(kWeb6), (TrialCounts{.begun = 3, .measured = 3, .slow = 2})) << "known before it answers";
  pass(kBack, from_backend(hangs, 4, kAck, "200 OK"));
  EXPECT_EQ(counts(kWeb6), (TrialCounts{.begun = 3, .measured = 3, .slow = 2})) << "once";
}

TEST_F(Trial, WithoutASlowTimeAFlowThatWaitsASecondIsSlow) {
  start();
  const Client prompt = client(kWeb6, 0), slow = client(kWeb6, 1);
  ask(prompt);
  ask(slow);
  let_pass(kTicksPerSecond - 1);
  pass(kBack, from_backend(prompt, 4, kAck, "200 OK"));
  let_pass(1);
  pass(kBack, from_backend(slow, 4, kAck, "200 OK"));
  EXPECT_EQ(counts(kWeb6), (TrialCounts{.begun = 2, .measured = 2, .slow = 1}));
}

TEST_F(Trial, AFlowThatFailedIsNotMeasured) {
  start();
  const Client who = client(kWeb6);
  send_from_client(who, kSyn);
  wait(Signals::kRepeatTicks);
  ask(who);
  pass(kBack, from_backend(who, 4, kAck, "200 OK"));
  EXPECT_EQ(counts(kWeb6), (TrialCounts{.begun = 1, .unanswered = 1}));
}

TEST_F(Trial, WithAffinityOfClientsEachFailureCountsWithoutAShare) {
  ruleset_input.services[kWeb].affinity_client = true;
  start({.workers = 2});
  for (uint32_t i = 0; i < 40; ++i) refuse(client(kWeb, i));  // four addresses
  EXPECT_EQ(counts(kWeb), (TrialCounts{.begun = 40, .refused = 40}));
}

TEST_F(Trial, WithAffinityOfClientsAClientFailsOnceInARamp) {
  ruleset_input.services[kWeb].affinity_client = true;
  start({.workers = 2});
  splits->services[kWeb].other_share = 1;
  publish_splits();
  for (uint32_t i = 0; i < 40; ++i) refuse(client(kWeb, i));  // four addresses
  EXPECT_EQ(counts(kWeb), (TrialCounts{.begun = 40, .refused = 4}));
  begin_trial(kWeb);
  for (uint32_t i = 0; i < 40; ++i) refuse(client(kWeb, 100 + i));
  EXPECT_EQ(counts(kWeb), (TrialCounts{.begun = 80, .refused = 8})) << "another trial";
}

TEST_F(Trial, AClientIsInOneCellWhateverItsPortAndWorkersAddUp) {
  start({.workers = 2});
  for (uint32_t i = 0; i < 200; ++i) refuse(client(kWeb6, 4 * i));  // one address
  std::array<TrialCounts, kMaxTestWorkers> of_worker;
  TrialCells cells;
  for (uint32_t worker = 0; worker < kMaxTestWorkers; ++worker) {
    for (uint32_t cell = 0; cell < kClientCells; ++cell) {
      cells[cell] += counts_of(segment().worker(worker).trials[kWeb6][0][cell]);
      of_worker[worker] += counts_of(segment().worker(worker).trials[kWeb6][0][cell]);
    }
  }
  EXPECT_EQ(std::count(cells.begin(), cells.end(), TrialCounts{}), kClientCells - 1);
  EXPECT_EQ(std::count(cells.begin(), cells.end(), (TrialCounts{.begun = 200, .refused = 200})), 1);
  EXPECT_GT(of_worker[0].begun, 0u);
  EXPECT_GT(of_worker[1].begun, 0u);
}

TEST_F(Trial, ARestartForgetsNoFailure) {
  start();
  const Client failed = client(kWeb6, 0), waiting = client(kWeb6, 1);
  send_from_client(failed, kSyn);
  wait(Signals::kRepeatTicks);
  send_from_client(failed, kSyn);
  send_from_client(waiting, kSyn);
  restart(2);
  pass(kBack, from_backend(failed, 4, kSynAck));
  send_from_client(failed, kAck);
  pass(kBack, from_backend(failed, 4, kRst));
  wait_for_no_answer();
  EXPECT_EQ(counts(kWeb6), (TrialCounts{.begun = 2, .unanswered = 2}));
}

}  // namespace
}  // namespace teal::test
