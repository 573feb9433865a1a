// SPDX-License-Identifier: Apache-2.0
//
// Punted packets on their way to the kernel. Rings play the TAPs:
//
//   front   AF_XDP: shares kTap0      back   owned by DPDK: its own kTap1      side   AF_PACKET: no TAP
#include <rte_mbuf.h>

#include "dataplane/pipeline/punt_limits.h"
#include "tests/unit/dataplane/ring_ports.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

constexpr MacAddress kTapMac{{0x02, 0, 0, 0, 0, 0x70}};

class PuntTest : public WorkerTest {
 protected:
  void start_with_taps(const WorkerTestOptions& options = {}) {
    const RingPorts& rings = RingPorts::get();
    Punt::TapOfPort tap_of_port = Punt::no_taps();
    tap_of_port[kFront] = 0;
    tap_of_port[kBack] = 1;
    tap_of_port[kSide] = Punt::kOwnCopy;
    punt = Punt({{.ethdev = rings.ethdev(kTap0), .mac = kTapMac, .shared = true},
                 {.ethdev = rings.ethdev(kTap1), .mac = kBackMac, .port_ethdev = rings.ethdev(kBack)}},
                tap_of_port);
    start(options);
  }
  // The kernel sends a frame by a TAP.
  void kernel_sends(Wire tap, const Frame& frame, uint16_t queue = 0) {
    ASSERT_TRUE(RingPorts::get().put(tap, queue, make_mbuf(tap, frame)));
  }
  static Frame ssh(uint16_t client_port = 50'000) {
    return PacketBuilder()
        .ipv4("198.18.1.101", "198.18.0.10")
        .tcp(client_port, 22, kSyn)
        .payload("x")
        .build();
  }
  static Frame broadcast(Frame frame) {
    std::fill_n(frame.begin(), 6, uint8_t{0xff});
    return frame;
  }
  static Frame arp() { return PacketBuilder().ether_type(0x0806).payload_bytes(46).build(); }
};

using PuntToTap = PuntTest;
using Relay = PuntTest;

TEST_F(PuntToTap, FrameOfASharedPortGetsTheTapsMacAndIsOtherwiseUnchanged) {
  start_with_taps();
  for (const Frame& frame : {ssh(), arp()}) {
    EXPECT_EQ(pass(kFront, frame).port, kNowhere);
    const auto punted = collect_from(kTap0);
    ASSERT_EQ(punted.size(), 1u);
    EXPECT_EQ(punted[0].destination_mac(), kTapMac);
    Frame expected = frame;
    std::copy_n(kTapMac.bytes, 6, expected.begin());
    EXPECT_EQ(punted[0].frame, expected);
  }
  EXPECT_TRUE(collect_from(kTap1).empty());
  EXPECT_EQ(count(Event::k_punted), 2u);
}

// With teal0's MAC, the kernel would take the packet as one to itself, and reset its connection.
TEST_F(PuntToTap, FrameOfASharedPortForAnotherMacIsUnchanged) {
  start_with_taps();
  Frame flooded = from_client(client(kWeb), kAck);
  flooded[5] = 0x77;
  EXPECT_EQ(pass(kFront, flooded).port, kNowhere);
  const auto punted = collect_from(kTap0);
  ASSERT_EQ(punted.size(), 1u);
  EXPECT_EQ(punted[0].frame, flooded);
}

TEST_F(PuntToTap, FrameOfAnOwnedPortIsUnchanged) {
  start_with_taps();
  for (const Frame& frame : {ssh(), arp(), from_backend(client(kWeb), 0, kSynAck)}) {
    EXPECT_EQ(pass(kBack, frame).port, kNowhere);
    const auto punted = collect_from(kTap1);
    ASSERT_EQ(punted.size(), 1u);
    EXPECT_EQ(punted[0].frame, arriving_at(kBack, frame));
  }
  EXPECT_TRUE(collect_from(kTap0).empty());
  EXPECT_EQ(count(Event::k_punted), 3u);
}

TEST_F(PuntToTap, FloodsAboutServicesAreLimitedAndNothingElseIs) {
  start_with_taps();
  struct Flood {
    Wire wire;
    Frame frame;
    uint32_t passes;  // a tenth of its rate
  };
  Frame expired = from_client(client(kWeb), kSyn);
  expired[14 + 8] = 1;  // TTL
  const Frame to_no_service =
      PacketBuilder().ip(client(kWeb).address, vip(kWeb).address).tcp(40000, 81, kSyn).build();
  const Frame ping = PacketBuilder().ip(client(kWeb).address, vip(kWeb).address).icmp(8, 0).build();
  const Frame quote =
      PacketBuilder().ip(vip(kWeb).address, client(kWeb).address).tcp(80, 40000, kAck).build();
  const Frame icmp_error = PacketBuilder()
                               .ip(IpAddress::parse("198.18.1.1").value(), vip(kWeb).address)
                               .icmp_unreachable(quote, 28)
                               .build();
  const Frame to_another_host =
      PacketBuilder().ipv4("198.18.1.101", "198.18.1.9").tcp(40000, 80, kSyn).build();
  const Flood floods[] = {
      {kSide, expired, PuntLimits::kRates[0] / 10},
      {kSide, to_no_service, PuntLimits::kRates[2] / 10},
      {kSide, ping, 0},  // this second's share has gone to the frames before
      {kSide, broadcast(from_client(client(kWeb), kSyn)), 0},
      {kSide, broadcast(from_client(client(kWeb6), kSyn)), 0},
      {kSide, broadcast(icmp_error), 0},
      {kSide, broadcast(to_another_host), 20'000},
      {kSide, broadcast(arp()), 20'000},
      {kSide, arp(), 20'000},
  };
  for (const auto& [wire, frame, passes] : floods) {
    const uint64_t before = count(Event::k_punted), limited = count(DropReason::k_punt_limit);
    constexpr uint32_t kPackets = 20'000;
    for (uint32_t i = 0; i < kPackets; ++i) {
      inject(wire, frame);
      if (i % Burst::kCapacity == 0) settle();
    }
    settle();
    EXPECT_EQ(count(Event::k_punted) - before, passes);
    EXPECT_EQ(count(DropReason::k_punt_limit) - limited, kPackets - passes);
  }
}

TEST_F(PuntToTap, FloodOfBackendsDirectAnswersIsLimited) {
  start_with_taps();
  const uint32_t passes = PuntLimits::kRates[1] / 10;
  const Frame direct = from_backend(client(kWeb), 0, kSynAck);
  for (uint32_t i = 0; i < passes + 1'000; ++i) {
    inject(kBack, direct);
    if (i % Burst::kCapacity == 0) {
      settle();
      collect_from(kTap1);
    }
  }
  settle();
  EXPECT_EQ(count(DropReason::k_punt_limit), 1'000u);
  EXPECT_EQ(count(Event::k_punted), passes);
}

TEST_F(PuntToTap, FramesOfTwoPortsAndTwoWorkersGoToTheTapOfTheirPort) {
  start_with_taps({.workers = 2});
  uint32_t to_tap[2] = {};
  for (uint32_t i = 0; i < 60; ++i) {
    const bool back = i % 3 != 0;
    inject(back ? kBack : kFront, back ? from_backend(client(kWeb, i), 0, kSynAck) : arp(), 0);
    ++to_tap[back];
  }
  settle();
  EXPECT_EQ(collect_from(kTap0).size(), to_tap[0]);
  EXPECT_EQ(collect_from(kTap1).size(), to_tap[1]);
  EXPECT_EQ(count(Event::k_punted), 60u);
}

TEST_F(PuntToTap, FrameOfAPortWhoseFramesTheKernelHasIsFreed) {
  start_with_taps();
  EXPECT_EQ(pass(kSide, ssh()).port, kNowhere);
  EXPECT_TRUE(collect_from(kTap0).empty());
  EXPECT_TRUE(collect_from(kTap1).empty());
  EXPECT_EQ(count(Event::k_punted), 1u);
  EXPECT_EQ(count(DropReason::k_punt_full), 0u);
}

TEST_F(PuntToTap, EachWorkerUsesItsOwnQueue) {
  start_with_taps({.workers = 3});
  for (uint16_t queue = 0; queue < 3; ++queue) {
    EXPECT_EQ(pass(kBack, arp(), queue).port, kNowhere);
    EXPECT_EQ(RingPorts::get().waiting(kTap1, queue), 1u);
    EXPECT_EQ(collect_from(kTap1).size(), 1u);
  }
}

TEST_F(PuntToTap, FullTapDropsAndCounts) {
  start_with_taps();
  constexpr uint32_t kMore = 77;
  for (uint32_t i = 0; i < RingPorts::kRingEntries - 1 + kMore; ++i) {
    inject(kFront, arp());
    if (i % 64 == 63) settle();
  }
  settle();
  EXPECT_EQ(count(Event::k_punted), RingPorts::kRingEntries - 1);
  EXPECT_EQ(count(DropReason::k_punt_full), kMore);
  EXPECT_NE(send_from_client(client(kWeb), kSyn), kNoId) << "services do not notice";
  EXPECT_EQ(collect_from(kTap0).size(), RingPorts::kRingEntries - 1);
}

TEST_F(PuntToTap, PuntedPacketsAmongAFlowsPacketsInOneBurstReachTheKernel) {
  start_with_taps();
  for (uint16_t i = 0; i < 10; ++i) {
    inject(kFront, from_client(client(kWeb), i == 0 ? kSyn : kAck));
    inject(kFront, ssh(static_cast<uint16_t>(50'000 + i)));
  }
  EXPECT_EQ(iterate(0), 20u);
  EXPECT_EQ(collect().size(), 10u);
  const auto punted = collect_from(kTap0);
  ASSERT_EQ(punted.size(), 10u);
  for (uint16_t i = 0; i < 10; ++i)
    EXPECT_EQ(punted[i].from(), "198.18.1.101:" + std::to_string(50'000 + i)) << "in order";
}

TEST_F(Relay, WhatTheKernelSentLeavesByThePortUnchanged) {
  start_with_taps();
  const Frame answer = PacketBuilder().ipv4("198.18.0.10", "198.18.1.101").tcp(22, 50'000, kSynAck).build();
  for (const Frame& frame : {answer, arp(), from_client(client(kWeb), kSyn)}) {
    kernel_sends(kTap1, frame);
    EXPECT_EQ(iterate(0), 1u) << "it is work: no sleep";
    const auto sent = collect();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].port, kBack);
    EXPECT_EQ(sent[0].frame, frame);
  }
  EXPECT_EQ(flows(), 0u) << "the kernel's own packets begin no flow";
}

// The kernel spreads what it sends over all queues of the TAP.
TEST_F(Relay, EveryQueueOfTheTapIsRelayedByItsWorker) {
  start_with_taps({.workers = 3});
  for (uint16_t queue = 0; queue < 3; ++queue) {
    kernel_sends(kTap1, arp(), queue);
    for (uint32_t worker = 0; worker < 3; ++worker) EXPECT_EQ(iterate(worker), worker == queue ? 1u : 0u);
    EXPECT_EQ(RingPorts::get().waiting(kBack, queue), 1u) << "by the worker's own queue of the port";
    EXPECT_EQ(collect().size(), 1u);
  }
  EXPECT_EQ(count(Event::k_relayed), 3u);
}

// The kernel keeps the interfaces of these ports and sends by them, so Teal does not relay.
TEST_F(Relay, LeavesTheSharedTapAlone) {
  start_with_taps();
  kernel_sends(kTap0, arp());
  settle();
  EXPECT_TRUE(collect().empty());
  rte_pktmbuf_free(RingPorts::get().take_back(kTap0, 0));
}

TEST_F(Relay, FullPortLosesNoMbufAndCounts) {
  start_with_taps();
  for (uint32_t i = 0; i < RingPorts::kRingEntries + 50; ++i) {
    kernel_sends(kTap1, arp());
    if (i % 64 == 63) settle();
  }
  settle();
  EXPECT_EQ(count(Event::k_relayed), RingPorts::kRingEntries - 1);
  EXPECT_EQ(count(Event::k_relay_full), 51u);
  EXPECT_EQ(collect().size(), RingPorts::kRingEntries - 1);  // the fixture looks whether the pool is whole
}

}  // namespace
}  // namespace teal::test
