// SPDX-License-Identifier: Apache-2.0
//
// Several workers, and other numbers of workers after a restart: the owner of a flow treats its packets,
// whatever queue they came by.
#include <atomic>
#include <set>
#include <thread>

#include "dataplane/resume.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class HandoverTest : public WorkerTest, public testing::WithParamInterface<uint32_t> {
 protected:
  uint32_t owner_of(const Client& who, uint32_t workers) {
    const FlowTable table = segment().flow_table();
    return table.owner_of(table.locate(key_of(who)).hash, workers);
  }
  Client client_of(uint32_t owner, uint32_t workers) {
    for (uint32_t i = 0;; ++i) {
      if (owner_of(client(kWeb, i), workers) == owner) return client(kWeb, i);
    }
  }
};
using HandoverOfTwo = HandoverTest;
using Promise11 = HandoverTest;
std::string workers_name(const testing::TestParamInfo<uint32_t>& workers) {
  return "Workers" + std::to_string(workers.param);
}
INSTANTIATE_TEST_SUITE_P(Workers, HandoverTest, testing::Values(2, 3), workers_name);

TEST_P(HandoverTest, PacketOfAnotherWorkersQueueReachesTheOwner) {
  const uint32_t workers = GetParam();
  start({.workers = workers});
  for (uint32_t owner = 0; owner < workers; ++owner) {
    const Client who = client_of(owner, workers);
    const auto arrives_at = static_cast<uint16_t>((owner + 1) % workers);
    const Sent sent = pass(kFront, from_client(who, kSyn), arrives_at);
    ASSERT_NE(backend_of(sent), kNoId);
    EXPECT_EQ(segment().worker(owner).events[static_cast<int>(Event::k_flows_created)].read(), 1u);
    EXPECT_EQ(segment().worker(arrives_at).events[static_cast<int>(Event::k_handed_over)].read(), 1u);
    const Sent reply = pass(kBack, from_backend(who, backend_of(sent), kSynAck), arrives_at);
    EXPECT_EQ(reply.port, kFront);
    EXPECT_EQ(reply.destination_mac(), kClientMac);
    EXPECT_TRUE(checksums_are_right(reply.frame));
  }
  EXPECT_EQ(flows(), workers);
}

TEST_P(HandoverTest, FlowWhosePacketsArriveOnAllQueuesBeginsOnce) {
  start({.workers = GetParam()});
  for (uint32_t i = 0; i < 60; ++i) {
    for (uint16_t queue = 0; queue < kMaxTestWorkers; ++queue)
      inject(kFront, from_client(client(kWeb, i), kSyn), queue);
    settle();
    std::set<std::string> destinations;
    for (const Sent& sent : collect()) destinations.insert(sent.to());
    EXPECT_EQ(destinations.size(), 1u);
  }
  EXPECT_EQ(flows(), 60u);
  EXPECT_EQ(count(Event::k_flows_created), 60u);
  EXPECT_EQ(count(Event::k_tx), 60u * kMaxTestWorkers);
}

TEST_P(HandoverTest, PacketOfNoServiceIsPuntedByTheWorkerThatReceivedIt) {
  start({.workers = GetParam()});
  EXPECT_TRUE(punts_unchanged(kFront, PacketBuilder().ether_type(0x0806).payload_bytes(46).build()));
  EXPECT_EQ(count(Event::k_handed_over), 0u);
}

TEST_P(HandoverTest, OwnerClassifiesUnderItsOwnGeneration) {
  const uint32_t workers = GetParam();
  start({.workers = workers});
  const Client who = client_of(1, workers);
  inject(kFront, from_client(who, kSyn), 0);
  iterate(0);  // in the ring of worker 1, under generation 1
  point_split(kWeb, Colour::kGreen);
  const uint64_t generation = publish_splits();
  settle();
  const auto sent = collect();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(colour_of(backend_of(sent[0])), Colour::kGreen);
  EXPECT_EQ(flow_of(who)->birth_generation, generation);
}

TEST_F(HandoverOfTwo, OwnerTakesAllThatItWasGivenInOneIteration) {
  start({.workers = 2});
  const Client who = client_of(1, 2);
  constexpr uint32_t kPackets = 5 * Burst::kCapacity + 3;
  for (uint32_t i = 0; i < kPackets; ++i) {
    inject(kFront, from_client(who, kSyn), 0);
    if (i % Burst::kCapacity == 0) iterate(0);
  }
  while (iterate(0) != 0) {
  }
  EXPECT_EQ(iterate(1), kPackets);
  EXPECT_EQ(collect().size(), kPackets);
}

TEST_F(HandoverOfTwo, FullRingDropsCountsAndNeverWaits) {
  start({.workers = 2});
  const Client who = client_of(1, 2);
  constexpr uint32_t kPackets = Handover::kRingEntries + 500;
  for (uint32_t i = 0; i < kPackets; ++i) {
    inject(kFront, from_client(who, kSyn), 0);
    if (i % 64 == 63) iterate(0);
  }
  while (iterate(0) != 0) {
  }
  EXPECT_EQ(count(DropReason::k_handover_full), 501u);  // a ring of 2,048 holds one less
  EXPECT_EQ(count(Event::k_handed_over), kPackets - 501);
  uint64_t arrived = 0;
  while (iterate(1) != 0) arrived += collect().size();
  // The owner takes all in one iteration, more than the ring of the port holds.
  EXPECT_EQ(arrived + count(DropReason::k_tx_full), kPackets - 501);
}

TEST_F(Promise11, FlowsResumeOnTheirBackendsWithAnyNumberOfWorkers) {
  start({.workers = 1});
  std::vector<uint16_t> backends;
  for (uint32_t i = 0; i < 150; ++i) backends.push_back(open_flow(client(i % 2 == 0 ? kWeb : kEcho, i)));
  send_from_client(client(kWeb, 0), kRst);  // one that is closing
  send_from_client(client(kWeb, 500), kSyn);
  for (const uint32_t workers : {3u, 2u, 4u, 1u}) {
    restart(workers);
    EXPECT_EQ(flows(), 151u);
    EXPECT_TRUE(ledger_is_exact()) << workers << " workers";
    for (uint32_t i = 0; i < 150; ++i)
      EXPECT_EQ(send_from_client(client(i % 2 == 0 ? kWeb : kEcho, i)), backends[i])
          << workers << " workers, flow " << i;
  }
  EXPECT_EQ(count(Event::k_flows_midstream), 0u);
}

TEST_F(Promise11, RepliesFindTheirLastHopAfterARestart) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  restart(2);
  const Sent reply = pass(kBack, from_backend(who, backend));
  EXPECT_EQ(reply.port, kFront);
  EXPECT_EQ(reply.destination_mac(), kClientMac);
}

TEST_F(Promise11, LedgerThatAKillLeftWrongIsCountedAgain) {
  start({.workers = 2});
  for (uint32_t i = 0; i < 50; ++i) open_flow(client(kWeb, i));
  stop_workers();
  // Killed between the table's change and the ledger's: one flow more and two fewer than the ledger says.
  FlowTable table = segment().flow_table();
  const Client added = client(kWeb, 900);
  ASSERT_NE(table.insert(table.locate(key_of(added)), key_of(added), 1, 1, FlowState{.tick = now_tick()}),
            kNoFlow);
  uint32_t removed = 0;
  for (uint64_t bucket = 0; bucket < table.geometry().buckets() && removed < 2; ++bucket) {
    table.for_each_in_bucket(bucket, [&](FlowIndex index, const Flow& flow) {
      if (removed == 2 || flow.client_port.host() == added.port) return;
      table.remove(index, table.locate({flow.client, flow.client_port, kWeb}));
      ++removed;
    });
  }
  EXPECT_FALSE(ledger_is_exact());
  restart(3);
  EXPECT_TRUE(ledger_is_exact());
  EXPECT_EQ(flows(), 49u);
}

// A drain that waits for flows must not look finished for a moment.
TEST_F(Promise11, WhileAStartCountsTheFlowsTheirSumIsNeverTooLow) {
  constexpr uint32_t kFlows = 60;
  start({.workers = 3});
  for (uint32_t i = 0; i < kFlows; ++i) open_flow(client(kWeb6, i));  // all on one backend
  const uint64_t flip_generation = flip({kWeb6}, Colour::kGreen);
  stop_workers();
  header().most_workers = 3;
  std::atomic<bool> done = false;
  uint32_t fewest_live = kFlows, fewest_older = kFlows;
  const auto sums = [&] {
    uint32_t live = 0, older = 0;
    for (uint32_t worker = 0; worker < header().most_workers; ++worker) {  // as Publisher::draining()
      const FlowCount& count = segment().worker(worker).flows[4][0];
      const bool adopted =
          count.older_than.load(std::memory_order_acquire) == static_cast<uint32_t>(flip_generation);
      older += adopted ? count.older.load() : count.live.load();
      live += count.live.load();
    }
    return std::pair(live, older);
  };
  std::thread teald([&] {
    while (!done) {
      // It looks twice, as this thread may sleep during a look.
      const auto [live, older] = sums();
      const auto [live_again, older_again] = sums();
      fewest_live = std::min(fewest_live, std::max(live, live_again));
      fewest_older = std::min(fewest_older, std::max(older, older_again));
    }
  });
  for (int round = 0; round < rounds(30); ++round)
    for (const uint32_t workers : {1, 2, 3}) resume_flows(segment(), workers);
  done = true;
  teald.join();
  EXPECT_EQ(fewest_live, kFlows);
  EXPECT_EQ(fewest_older, kFlows);
}

TEST_F(Promise11, CountsAreThoseOfTheNextEpoch) {
  start();
  stop_workers();
  header().dataplane_epoch = 7;
  resume_flows(segment(), 1);
  EXPECT_EQ(header().counted_epoch, 8u);
}

TEST_F(Promise11, DisplacedCountThatAKillLeftTooHighIsCountedAgain) {
  start({.flow_capacity = 100, .partitions = 1});
  for (uint32_t i = 0; i < 100; ++i) open_flow(client(kWeb, i));
  stop_workers();
  FlowTable table = segment().flow_table();
  const FlowsHeader& flows = segment().flows();
  auto* buckets = reinterpret_cast<FlowTable::Bucket*>(reinterpret_cast<char*>(&segment().flows()) +
                                                       flows.buckets_offset);
  std::vector<uint16_t> before;
  for (uint64_t i = 0; i < table.geometry().buckets(); ++i) {
    before.push_back(buckets[i].displaced.load());
    buckets[i].displaced.store(static_cast<uint16_t>(before.back() + 3));
  }
  restart(1);
  for (uint64_t i = 0; i < table.geometry().buckets(); ++i) EXPECT_EQ(buckets[i].displaced.load(), before[i]);
}

TEST_F(Promise11, FlowsOfABackendThatTheRulesetDoesNotKnowAreRemoved) {
  start();
  const uint16_t backend = open_flow(client(kWeb, 0));
  uint32_t on_it = 1;
  for (uint32_t i = 1; i < 40; ++i) on_it += open_flow(client(kWeb, i)) == backend;
  std::erase_if(ruleset_input.backends,
                [&](const NumberedBackend& numbered) { return numbered.id == backend; });
  publish();
  stop_workers();
  const Resumed resumed = resume_flows(segment(), 1);
  EXPECT_EQ(resumed.removed, on_it);
  EXPECT_EQ(resumed.flows, 40 - on_it);
  EXPECT_EQ(flows(), 40 - on_it);
}

TEST_F(Promise11, IdsThatNoTableHasAreForgotten) {
  start();
  const Client who = client(kWeb), lost = client(kWeb, 1);
  const uint16_t backend = open_flow(who);
  open_flow(lost);
  FlowState state = flow_of(who)->state;
  state.last_hop = kNoLastHop;
  set_state(who, state);
  segment().flows().last_hops[kNoLastHop] = Hop{kFront, kClientMac}.word();
  FlowTable table = segment().flow_table();
  const auto location = table.locate(key_of(lost));
  table.remove(table.find(location, key_of(lost), rules()), location);
  ASSERT_NE(table.insert(location, key_of(lost), kMaxBackends, 1, FlowState{}), kNoFlow);
  header().client_default_hops[0] = Hop{kSide, kDefaultHopMac}.word();
  restart(1);
  EXPECT_EQ(pass(kBack, from_backend(who, backend)).port, kSide);
  EXPECT_EQ(flows(), 1u);
}

TEST_F(Promise11, LastHopsOfNoFlowAreFreedOnceTheirTableIsMostlyTaken) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  restart(1);
  const uint16_t used = flow_of(who)->state.last_hop;
  uint64_t number = 1;
  for (auto& word : segment().flows().last_hops) {
    if (word.load() == Hop::kNone) word.store(Hop{kFront, {}}.word() | number++);
  }
  restart(1);
  uint32_t taken = 0;
  for (const auto& word : segment().flows().last_hops) taken += word.load() != Hop::kNone;
  EXPECT_EQ(taken, 1u);
  EXPECT_NE(segment().flows().last_hops[used].load(), Hop::kNone);
  EXPECT_EQ(pass(kBack, from_backend(who, backend)).destination_mac(), kClientMac);
}

TEST_F(Promise11, FullTableOfLastHopsSendsRepliesByTheDefaultHop) {
  start();
  uint64_t number = 1;
  for (auto& word : segment().flows().last_hops) word.store(Hop{kFront, {}}.word() | number++);
  segment().flows().last_hops[kNoLastHop] = Hop::kNone;
  header().client_default_hops[0].store(Hop{kSide, kDefaultHopMac}.word());
  const Client who = client(kWeb);
  const Sent reply = pass(kBack, from_backend(who, send_from_client(who, kSyn), kSynAck));
  EXPECT_EQ(reply.port, kSide);
  EXPECT_EQ(reply.destination_mac(), kDefaultHopMac);
}

}  // namespace
}  // namespace teal::test
