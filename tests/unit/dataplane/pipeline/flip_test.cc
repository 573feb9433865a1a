// SPDX-License-Identifier: Apache-2.0
//
// The promises about flips, by their numbers (docs/promises.md).
#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

using Promise1 = WorkerTest;
using Promise2 = WorkerTest;
using Promise3 = WorkerTest;
using Promise4 = WorkerTest;
using Promise5 = WorkerTest;
using Promise6 = WorkerTest;
using Promise8 = WorkerTest;
using Promise10 = WorkerTest;

// ---- 1: a flow never changes its backend while both live

TEST_F(Promise1, FlowKeepsItsBackendAfterAFlip) {
  start();
  for (const uint16_t service : {kWeb, kWeb6, kEcho, kEcho6}) {
    const Client who = client(service);
    const uint16_t backend = open_flow(who);
    flip({service}, Colour::kGreen);
    EXPECT_EQ(send_from_client(who), backend);
    EXPECT_EQ(pass(kBack, from_backend(who, backend)).from(), to_string(ruleset_input.services[service].vip));
    flip({service}, Colour::kBlue);
    EXPECT_EQ(send_from_client(who), backend);
  }
}

TEST_F(Promise1, FlowKeepsItsBackendWhenTheRulesetIsRepublishedWithOtherWeights) {
  start();
  std::vector<uint16_t> born_on;
  for (uint32_t i = 0; i < 64; ++i) born_on.push_back(open_flow(client(kWeb, i)));
  ruleset_input.backends[0].weights[0] = 0;
  ruleset_input.backends[1].weights[0] = 7;
  publish();
  for (uint32_t i = 0; i < 64; ++i) EXPECT_EQ(send_from_client(client(kWeb, i)), born_on[i]);
  for (uint32_t i = 64; i < 128; ++i) EXPECT_EQ(send_from_client(client(kWeb, i), kSyn), 1u);
}

TEST_F(Promise1, FlowKeepsItsBackendWhenThatIsRetired) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  ruleset_input.backends[backend].weights = {};
  ruleset_input.backends[backend].retired = true;
  publish();
  EXPECT_EQ(send_from_client(who), backend);
  EXPECT_EQ(pass(kBack, from_backend(who, backend)).port, kFront);
  for (uint32_t i = 1; i < 32; ++i) EXPECT_EQ(send_from_client(client(kWeb, i), kSyn), 1 - backend);
}

TEST_F(Promise1, EmbryonicFlowKeepsItsBackendToo) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  flip({kWeb}, Colour::kGreen);
  EXPECT_EQ(pass(kBack, from_backend(who, backend, kSynAck)).port, kFront);
  EXPECT_EQ(send_from_client(who, kAck), backend);
}

// ---- 2: once a flip is acknowledged, no other flow starts on the old colour

TEST_F(Promise2, NewFlowsFollowTheFlip) {
  start();
  for (uint32_t i = 0; i < 50; ++i)
    EXPECT_EQ(colour_of(send_from_client(client(kWeb, i), kSyn)), Colour::kBlue);
  flip({kWeb}, Colour::kGreen);
  for (uint32_t i = 50; i < 100; ++i)
    EXPECT_EQ(colour_of(send_from_client(client(kWeb, i), kSyn)), Colour::kGreen);
  EXPECT_EQ(count(Event::k_wrong_colour_flows), 0u);
}

TEST_F(Promise2, FlowsOfAnOlderGenerationThanTheAcknowledgedOneAreCounted) {
  start();
  writer().acknowledge(next_generation());  // before any worker could load it: one adoption is held back
  send_from_client(client(kWeb), kSyn);
  EXPECT_EQ(count(Event::k_wrong_colour_flows), 1u);
  send_from_client(client(kWeb), kAck);  // an old flow's packet is no new flow
  EXPECT_EQ(count(Event::k_wrong_colour_flows), 1u);
  flip({kWeb}, Colour::kGreen);
  send_from_client(client(kWeb, 1), kSyn);
  EXPECT_EQ(count(Event::k_wrong_colour_flows), 1u);
}

TEST_F(Promise2, BirthGenerationIsThatOfTheBurst) {
  start();
  send_from_client(client(kWeb, 0), kSyn);
  const uint64_t generation = flip({kWeb}, Colour::kGreen);
  send_from_client(client(kWeb, 1), kSyn);
  EXPECT_EQ(flow_of(client(kWeb, 0))->birth_generation, 1u);
  EXPECT_EQ(flow_of(client(kWeb, 1))->birth_generation, generation);
}

// ---- 3: a flip of several services is one publication

TEST_F(Promise3, NoBurstSeesOneServiceFlippedAndAnotherNot) {
  start({.flow_capacity = 60'000});
  std::atomic<bool> stop = false;
  std::thread flipper([&] {
    for (Colour to = Colour::kGreen; !stop; to = other(to)) {
      for (const uint16_t service : {kWeb, kEcho}) point_split(service, to);
      const auto slot = writer().free_split_slot();
      if (!slot) continue;
      segment().splits(*slot) = *splits;
      writer().publish({.generation = next_generation(),
                        .ruleset_slot = writer().current().ruleset_slot,
                        .split_slot = *slot});
    }
  });
  const auto await_next_publication = [&] {
    const uint64_t before = header().word.load();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
    while (header().word.load() == before && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
  };
  std::set<Colour> seen;
  for (uint32_t round = 0; round < 1'000 || (seen.size() < 2 && round < 4'000); ++round) {
    if (round % 50 == 0) await_next_publication();  // there may be one CPU only
    for (uint32_t i = 0; i < 6; ++i) {
      inject(kFront, from_client(client(kWeb, round * 6 + i), kSyn));
      inject(kFront, from_client(client(kEcho, round * 6 + i)));
    }
    EXPECT_EQ(iterate(0), 12u);
    std::set<Colour> colours;
    for (const Sent& sent : collect()) colours.insert(colour_of(backend_of(sent)));
    EXPECT_EQ(colours.size(), 1u) << "round " << round;
    seen.merge(colours);
  }
  stop = true;
  flipper.join();
  EXPECT_EQ(seen.size(), 2u) << "no flip was seen";
}

// ---- 4: a flip loses no packet

TEST_F(Promise4, AFlipLosesNoPacket) {
  start({.flow_capacity = 4'000});
  uint32_t sent = 0, arrived = 0;
  for (uint32_t i = 0; i < 200; ++i) {
    for (const uint16_t service : {kWeb, kEcho}) {
      inject(kFront, from_client(client(service, i), kSyn));
      inject(kFront, from_client(client(service, i / 2), kAck));
      sent += 2;
    }
    for (const uint16_t service : {kWeb, kEcho})
      point_split(service, i % 2 == 0 ? Colour::kGreen : Colour::kBlue);
    publish_splits();
    settle();
    arrived += static_cast<uint32_t>(collect().size());
  }
  EXPECT_EQ(arrived, sent);
}

// ---- 5: rollback is a flip

TEST_F(Promise5, RollbackIsAFlip) {
  start();
  const Client on_blue = client(kWeb, 0), on_green = client(kWeb, 1);
  const uint16_t blue = open_flow(on_blue);
  flip({kWeb}, Colour::kGreen);
  const uint16_t green = open_flow(on_green);
  const uint64_t generation = flip({kWeb}, Colour::kBlue);
  EXPECT_EQ(generation, 3u);
  EXPECT_EQ(send_from_client(on_blue), blue);
  EXPECT_EQ(send_from_client(on_green), green);
  EXPECT_EQ(colour_of(send_from_client(client(kWeb, 2), kSyn)), Colour::kBlue);
  EXPECT_EQ(count(Event::k_wrong_colour_flows), 0u);
}

// ---- 6: what a SYN begins, and what it does not

TEST_F(Promise6, SynAfterRstIsANewFlow) {
  start();
  for (const bool from_client_side : {true, false}) {
    const Client who = client(kWeb, from_client_side);
    const uint16_t blue = open_flow(who);
    pass(kBack, from_backend(who, blue, kAck, "talks"));
    if (from_client_side) {
      send_from_client(who, kRst);
      pass(kBack, answer_to(take_asks().at(0), false));  // ask_test.cc has what else it may answer
    } else {
      pass(kBack, from_backend(who, blue, kRst));
    }
    flip({kWeb}, other(colour_of(blue)));
    const uint16_t backend = send_from_client(who, kSyn);
    EXPECT_NE(colour_of(backend), colour_of(blue));
    EXPECT_EQ(flow_of(who)->backend, backend);
    EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  }
  EXPECT_EQ(count(Event::k_flows_replaced), 2u);
}

TEST_F(Promise6, SynAfterBothFinsIsANewFlow) {
  start();
  const Client who = client(kWeb);
  const uint16_t blue = open_flow(who);
  send_from_client(who, kFin);
  EXPECT_EQ(send_from_client(who, kSyn), blue) << "one FIN is not the end";
  flip({kWeb}, Colour::kGreen);
  pass(kBack, from_backend(who, blue, kFin));
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
  EXPECT_EQ(flows(), 1u);
  EXPECT_EQ(count(Event::k_flows_replaced), 1u);
}

TEST_F(Promise6, RetransmittedSynMovesNothingOnceTheBackendHasAnswered) {
  start();
  const Client who = client(kWeb);
  const uint16_t blue = send_from_client(who, kSyn);
  EXPECT_EQ(send_from_client(who, kSyn), blue) << "the choice is the same";
  pass(kBack, from_backend(who, blue, kSynAck));
  flip({kWeb}, Colour::kGreen);
  EXPECT_EQ(send_from_client(who, kSyn), blue);
  EXPECT_EQ(count(Event::k_flows_created), 1u);
}

TEST_F(Promise6, SynOnALiveFlowMovesNothing) {
  start();
  const Client who = client(kWeb);
  const uint16_t blue = open_flow(who);
  pass(kBack, from_backend(who, blue, kAck, "talks"));
  flip({kWeb}, Colour::kGreen);
  send_from_client(who, kSyn);
  pass(kBack, answer_to(take_asks().at(0), true));
  EXPECT_EQ(send_from_client(who, kSyn), blue);
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
  EXPECT_EQ(count(Event::k_flows_created), 1u);
}

TEST_F(Promise6, SynAckOfAClientOnAClosedFlowBeginsNothing) {
  start();
  const Client who = client(kWeb);
  const uint16_t blue = open_flow(who);
  send_from_client(who, kRst);
  flip({kWeb}, Colour::kGreen);
  EXPECT_EQ(send_from_client(who, kSynAck), blue);
  EXPECT_EQ(count(Event::k_flows_replaced), 0u);
}

TEST_F(Promise6, TwoPacketsOfANewFlowInOneBurstMakeOneFlow) {
  start();
  for (const uint16_t service : {kWeb, kEcho}) {
    inject(kFront, from_client(client(service), kSyn));
    inject(kFront, from_client(client(service), kSyn));
    inject(kFront, from_client(client(service), kAck));
    EXPECT_EQ(iterate(0), 3u);
    const auto sent = collect();
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[0].to(), sent[1].to());
    EXPECT_EQ(sent[0].to(), sent[2].to());
  }
  EXPECT_EQ(flows(), 2u);
  EXPECT_EQ(count(Event::k_flows_created), 2u);
  EXPECT_EQ(count(Event::k_flows_midstream), 0u);
}

TEST_F(Promise6, AckAndSynOfAResetTupleInOneBurstReplaceTheFlow) {
  start();
  const Client who = client(kWeb), neighbour = client(kWeb, 1);
  pass(kBack, from_backend(who, open_flow(who), kRst));
  open_flow(neighbour);
  flip({kWeb}, Colour::kGreen);
  inject(kFront, from_client(neighbour, kAck));
  inject(kFront, from_client(who, kAck));
  inject(kFront, from_client(who, kSyn));
  inject(kFront, from_client(who, kSyn));
  inject(kFront, from_client(who, kAck));
  inject(kFront, from_client(neighbour, kAck));
  EXPECT_EQ(iterate(0), 6u);
  std::vector<Colour> colours;
  for (const Sent& sent : collect()) colours.push_back(colour_of(backend_of(sent)));
  const Colour blue = Colour::kBlue, green = Colour::kGreen;
  EXPECT_EQ(colours, (std::vector{blue, blue, green, green, green, blue}));
  EXPECT_EQ(count(Event::k_flows_replaced), 1u);
  EXPECT_EQ(flows(), 2u);
}

// The candidate slots of a burst are found before its first packet is tracked. A flow that replaces another
// may get another slot.
TEST_F(Promise6, PacketsBehindAReplacedFlowInABurstFollowItToItsNewSlot) {
  ruleset_input.timeouts.tcp_closed = 3;
  start({.flow_capacity = 1, .partitions = 1});
  const Client first = client(kWeb, 0), who = client(kWeb, 1);
  const uint16_t of_first = open_flow(first);  // slot 0
  const uint16_t of_who = open_flow(who);      // slot 1
  pass(kBack, from_backend(first, of_first, kRst));
  let_pass(6);
  restart(1);
  settle();
  ASSERT_FALSE(flow_of(first).has_value()) << "slot 0 is free now";
  flip({kWeb}, Colour::kGreen);
  pass(kBack, from_backend(who, of_who, kRst));
  inject(kFront, from_client(who, kAck));
  inject(kFront, from_client(who, kSyn));
  inject(kFront, from_client(who, kAck));
  EXPECT_EQ(iterate(0), 3u);
  std::vector<Colour> colours;
  for (const Sent& sent : collect()) colours.push_back(colour_of(backend_of(sent)));
  EXPECT_EQ(colours, (std::vector{Colour::kBlue, Colour::kGreen, Colour::kGreen}));
}

// ---- 8: a drain is visible

TEST_F(Promise8, CountsOfADrainSayHowManyFlowsOfWhichBackendsAreLeft) {
  start();
  std::vector<uint32_t> left(kBackends);
  for (uint32_t i = 0; i < 40; ++i) ++left[open_flow(client(kWeb, i))];
  flip({kWeb}, Colour::kGreen);
  for (uint32_t i = 40; i < 60; ++i) EXPECT_EQ(colour_of(open_flow(client(kWeb, i))), Colour::kGreen);
  for (uint32_t i = 0; i < 40; ++i) {
    const uint16_t backend = send_from_client(client(kWeb, i), kFin);
    pass(kBack, from_backend(client(kWeb, i), backend, kFin));
    --left[backend];
    for (const uint16_t blue : {0, 1})
      EXPECT_EQ(segment().worker(0).flows[blue][0].live.load(), left[blue]) << "after flow " << i;
  }
  EXPECT_EQ(segment().worker(0).flows[0][0].closing.load() + segment().worker(0).flows[1][0].closing.load(),
            40u);
  EXPECT_EQ(segment().worker(0).flows[2][1].live.load() + segment().worker(0).flows[3][1].live.load(), 20u);
}

// ---- 10: the daemon may die at any time

TEST_F(Promise10, ForwardingDoesNotNoticeADaemonThatDiesHalfWayThroughAPublication) {
  start();
  const Client old_client = client(kWeb);
  const uint16_t backend = open_flow(old_client);
  const uint64_t acknowledged = flip({kWeb}, Colour::kGreen);
  // It had written a slot and not yet the word.
  auto half_done = std::make_unique<TrafficSplits>(*splits);
  half_done->services[kWeb].active = Colour::kBlue;
  segment().splits(*writer().free_split_slot()) = *half_done;
  restart_writer();
  EXPECT_EQ(send_from_client(old_client), backend);
  EXPECT_EQ(colour_of(send_from_client(client(kWeb, 1), kSyn)), Colour::kGreen)
      << "no acknowledged flip is lost";
  EXPECT_EQ(flip({kWeb}, Colour::kBlue), acknowledged + 1);
  EXPECT_EQ(colour_of(send_from_client(client(kWeb, 2), kSyn)), Colour::kBlue);
  EXPECT_EQ(count(Event::k_wrong_colour_flows), 0u);
}

}  // namespace
}  // namespace teal::test
