// SPDX-License-Identifier: Apache-2.0
//
// Promise 13: a frame for another MAC address than the port's is for another host. A switch floods such a
// frame, or its sender broadcasts it. The kernel gets the frame, and it neither begins nor changes a flow. An
// operator may change the MAC address of a port while the workers run.
#include "tests/unit/dataplane/ring_ports.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

constexpr MacAddress kOtherHost{{0x02, 0, 0, 0, 0, 0x77}};
constexpr MacAddress kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr MacAddress kNewMac{{0x06, 0x11, 0x22, 0x33, 0x44, 0x55}};

Frame to_mac(Frame frame, const MacAddress& mac) {
  std::copy_n(mac.bytes, 6, frame.begin());
  return frame;
}

using PortMac = WorkerTest;
using Promise13Mac = WorkerTest;

TEST_F(Promise13Mac, FrameForAnotherMacIsPuntedUnchangedAndBeginsNoFlow) {
  start({.workers = 2});
  for (const uint16_t service : {kWeb, kWeb6, kEcho, kEcho6}) {
    for (const Wire wire : {kFront, kBack, kSide}) {
      for (const MacAddress& mac : {kOtherHost, kBroadcast, backend_mac(0)})
        EXPECT_TRUE(punts_unchanged(wire, to_mac(from_client(client(service), kSyn), mac)));
    }
  }
  EXPECT_EQ(flows(), 0u);
  EXPECT_EQ(count(Event::k_handed_over), 0u) << "the first worker stops them";
}

TEST_F(Promise13Mac, FloodedPacketOfAFlowNeitherLeavesNorChangesTheFlow) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  for (const uint8_t flags : {kAck, kFin, kRst, kSyn}) {
    EXPECT_TRUE(punts_unchanged(kFront, to_mac(from_client(who, flags), kOtherHost)));
    EXPECT_TRUE(punts_unchanged(kBack, to_mac(from_backend(who, backend, flags), kOtherHost)));
  }
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
  EXPECT_TRUE(take_asks().empty());
  EXPECT_EQ(send_from_client(who), backend);
}

TEST_F(PortMac, WorkersFollowAChange) {
  start({.workers = 3});
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  macs().set(kFront, kNewMac);

  for (uint16_t queue = 0; queue < 3; ++queue) {  // each has another worker
    const Sent request = pass(kFront, to_mac(from_client(who), kNewMac), queue);
    EXPECT_EQ(backend_of(request), backend);
    EXPECT_EQ(request.source_mac(), kBackMac) << "the other port keeps its address";
    const Sent reply = pass(kBack, from_backend(who, backend), queue);
    EXPECT_EQ(reply.port, kFront);
    EXPECT_EQ(reply.source_mac(), kNewMac);
  }
  EXPECT_NE(backend_of(pass(kFront, to_mac(from_client(client(kWeb, 1), kSyn), kNewMac))), kNoId);
  EXPECT_TRUE(punts_unchanged(kFront, from_client(client(kWeb, 2), kSyn))) << "to the former address";
  EXPECT_EQ(flows(), 2u);
}

TEST_F(PortMac, AFormerAddressThatComesBackIsThePortsAgain) {
  start();
  macs().set(kFront, kNewMac);
  settle();
  macs().set(kFront, kFrontMac);
  EXPECT_NE(send_from_client(client(kWeb), kSyn), kNoId);
}

}  // namespace
}  // namespace teal::test
