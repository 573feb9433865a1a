// SPDX-License-Identifier: Apache-2.0
//
// Promise 18: no packet that a stranger can forge redirects a flow (hop_moves.h).
#include "dataplane/pipeline/hop_moves.h"

#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

constexpr MacAddress kRouterMac{{0x02, 0, 0, 0, 0, 0x77}};
const Hop kByRouter{kSide, kRouterMac};
constexpr uint32_t kNumber = 0xffff'fffe;  // of the client's next byte; it wraps

class HopMovesTest : public WorkerTest {
 protected:
  // teald stores it: whether the kernel has a neighbour with this MAC address.
  void set_known(const Hop& hop, bool known) {
    const auto id = last_hop_id(segment().flows(), hop, *IpAddress::parse("198.18.3.103"));
    ASSERT_TRUE(id);
    segment().flows().last_hop_origins[*id].known = known;
  }
  // The router is a neighbour of the kernel, and the client's flow came by another hop. Returns its backend.
  uint16_t start_with_router(const Client& who) {
    start();
    set_known(kByRouter, true);
    return open_flow(who);
  }
  // The client's segment with this number, as the router sends it from `wire`.
  Sent pass_by_router(Wire wire, const Client& who, uint8_t flags = kAck, uint32_t number = kNumber,
                      std::string_view payload = "x") {
    Frame frame = PacketBuilder(segment_of(who, flags, payload)).seq(number).build();
    write_ethernet_addresses(frame.data(), kSideMac.word(), kRouterMac.word());
    return pass(wire, frame);
  }
  Sent udp_by_router(const Client& who) {
    Frame frame = from_client(who);
    write_ethernet_addresses(frame.data(), kSideMac.word(), kRouterMac.word());
    return pass(kSide, frame);
  }
  // The backend's segment that expects this byte next.
  Sent acknowledge(const Client& who, uint16_t backend, uint32_t number) {
    const Socket& from = backend_socket(backend);
    return pass(kBack, PacketBuilder()
                           .eth(kBackMac, backend_mac(backend))
                           .ip(from.address, who.address)
                           .tcp(from.port.host(), who.port, kAck)
                           .ack(number)
                           .payload("y")
                           .build());
  }
  testing::AssertionResult goes_to_router(const Sent& reply) {
    if (reply.port == kSide && reply.destination_mac() == kRouterMac && reply.source_mac() == kSideMac)
      return testing::AssertionSuccess();
    return testing::AssertionFailure() << "it left by port " << reply.port;
  }

 private:
  PacketBuilder segment_of(const Client& who, uint8_t flags, std::string_view payload) const {
    const Socket& to = address_of(who);
    return PacketBuilder().ip(who.address, to.address).tcp(who.port, to.port.host(), flags).payload(payload);
  }
};

using Promise18Hop = HopMovesTest;
using HopMoves = HopMovesTest;

// ---- TCP

TEST_F(HopMoves, TcpFlowMovesOnceItsBackendAcknowledgesTheClientsPacket) {
  start();
  set_known(kByRouter, true);
  for (const uint16_t service : {kWeb, kWeb6}) {
    const Client who = client(service);
    const uint16_t backend = open_flow(who);
    EXPECT_EQ(backend_of(pass_by_router(kSide, who)), backend);
    EXPECT_TRUE(goes_to_router(acknowledge(who, backend, kNumber + 1)));
    EXPECT_TRUE(goes_to_router(acknowledge(who, backend, kNumber + 1)));
    EXPECT_TRUE(is_steady(flow_of(who)->state));
  }
  EXPECT_EQ(count(Event::k_hops_moved), 2u);
}

TEST_F(HopMoves, BareAckOfAPushStreamMovesItsFlow) {
  const Client who = client(kWeb);
  const uint16_t backend = start_with_router(who);
  pass_by_router(kSide, who, kAck, kNumber, "");
  EXPECT_TRUE(goes_to_router(acknowledge(who, backend, kNumber)));
}

TEST_F(HopMoves, KeepaliveMovesItsFlow) {
  const Client who = client(kWeb);
  const uint16_t backend = start_with_router(who);
  pass_by_router(kSide, who, kAck, kNumber - 1,
                 "");  // a keepalive repeats the last byte's number, without data
  EXPECT_TRUE(goes_to_router(acknowledge(who, backend, kNumber)));
}

TEST_F(HopMoves, RepetitionOfTheFirstOfSeveralSegmentsMovesItsFlow) {
  const Client who = client(kWeb);
  const uint16_t backend = start_with_router(who);
  pass_by_router(kSide, who, kAck, kNumber, "first");
  pass_by_router(kSide, who, kAck, kNumber + 5, "last");
  pass_by_router(kSide, who, kAck, kNumber + 9, "later");
  EXPECT_EQ(acknowledge(who, backend, kNumber + 9).destination_mac(), kClientMac);
  EXPECT_TRUE(goes_to_router(acknowledge(who, backend, kNumber + 14)));
}

TEST_F(HopMoves, FinCountsAsAByte) {
  const Client who = client(kWeb);
  const uint16_t backend = start_with_router(who);
  pass_by_router(kSide, who, kFin, kNumber, "");
  EXPECT_TRUE(goes_to_router(acknowledge(who, backend, kNumber + 1)));
}

TEST_F(Promise18Hop, PacketWithAForgedNumberMovesNothing) {
  const Client who = client(kWeb);
  const uint16_t backend = start_with_router(who);
  for (const uint32_t forged : {kNumber + 1000, kNumber - 1000, kNumber + 1}) {
    EXPECT_EQ(backend_of(pass_by_router(kSide, who, kAck, forged)), backend);
    EXPECT_EQ(acknowledge(who, backend, kNumber).destination_mac(), kClientMac);
    let_pass(teal::HopMoves::kTcpTicks);
    EXPECT_EQ(acknowledge(who, backend, kNumber).destination_mac(), kClientMac);
    EXPECT_TRUE(is_steady(flow_of(who)->state)) << "it is fast again";
  }
  EXPECT_EQ(count(Event::k_hops_moved), 0u);
}

TEST_F(Promise18Hop, StrangerOnTheLinkMovesNothing) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  pass_by_router(kSide, who);
  EXPECT_EQ(acknowledge(who, backend, kNumber + 1).destination_mac(), kClientMac) << "not known yet";
  set_known(kByRouter, true);
  pass_by_router(kSide, who);
  EXPECT_TRUE(goes_to_router(acknowledge(who, backend, kNumber + 1)));
}

TEST_F(Promise18Hop, PacketOfABackendSidePortMovesNothing) {
  start();
  set_known({kBack, kRouterMac}, true);
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  EXPECT_EQ(backend_of(pass_by_router(kBack, who)), backend);
  EXPECT_EQ(acknowledge(who, backend, kNumber + 1).destination_mac(), kClientMac);
}

TEST_F(Promise18Hop, SynAndRstMoveNothing) {
  const Client who = client(kWeb);
  const uint16_t backend = start_with_router(who);
  for (const uint8_t flags : {kSyn, kRst}) {
    pass_by_router(kSide, who, flags, kNumber, "");
    EXPECT_EQ(acknowledge(who, backend, kNumber).destination_mac(), kClientMac);
    EXPECT_EQ(acknowledge(who, backend, kNumber + 1).destination_mac(), kClientMac);
  }
}

TEST_F(Promise18Hop, ForgedPacketsDoNotKeepAClientFromMoving) {
  const Client who = client(kWeb);
  const uint16_t backend = start_with_router(who);
  pass_by_router(kSide, who, kAck, kNumber + 1000);
  let_pass(teal::HopMoves::kTcpTicks);
  pass_by_router(kSide, who);
  EXPECT_TRUE(goes_to_router(acknowledge(who, backend, kNumber + 1)));
}

// ---- flows that are not assured

TEST_F(HopMoves, HalfOpenConnectionMovesAtOnce) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = send_from_client(who, kSyn);
  pass_by_router(kSide, who, kSyn, kNumber, "");
  EXPECT_TRUE(goes_to_router(pass(kBack, from_backend(who, backend, kSynAck))));
  EXPECT_EQ(count(Event::k_hops_moved), 0u);
}

// ---- UDP

TEST_F(Promise18Hop, AForgedUdpPacketMovesNothing) {
  const Client who = client(kEcho);
  const uint16_t backend = start_with_router(who);
  EXPECT_EQ(backend_of(udp_by_router(who)), backend);
  let_pass(teal::HopMoves::kForgottenTicks - 1);
  EXPECT_EQ(pass(kBack, from_backend(who, backend)).destination_mac(), kClientMac);
  let_pass(1);
  EXPECT_EQ(pass(kBack, from_backend(who, backend)).destination_mac(), kClientMac);
  EXPECT_TRUE(is_steady(flow_of(who)->state)) << "it is fast again";
}

TEST_F(HopMoves, UdpFlowMovesWhereItsClientSpeaksByTheNewHopAlone) {
  const Client who = client(kEcho);
  const uint16_t backend = start_with_router(who);
  udp_by_router(who);
  let_pass(teal::HopMoves::kUdpTicks - 1);
  udp_by_router(who);
  EXPECT_EQ(pass(kBack, from_backend(who, backend)).destination_mac(), kClientMac);
  let_pass(1);
  udp_by_router(who);
  EXPECT_TRUE(goes_to_router(pass(kBack, from_backend(who, backend))));
}

// More flows than places: each waits for its turn.
TEST_F(HopMoves, ManyUdpFlowsLeaveALostRouterTogether) {
  start({.flow_capacity = 20'000});
  set_known(kByRouter, true);
  constexpr uint32_t kFlows = 6'000;
  std::vector<uint16_t> backends;
  for (uint32_t i = 0; i < kFlows; ++i) backends.push_back(open_flow(client(kEcho, i)));
  for (int round = 0; round < 24; ++round) {
    for (uint32_t i = 0; i < kFlows; ++i) udp_by_router(client(kEcho, i));
    let_pass(teal::HopMoves::kUdpTicks / 3);
  }
  EXPECT_EQ(count(Event::k_hops_moved), kFlows);
}

TEST_F(Promise18Hop, FlowThatIsChosenAgainKeepsItsHop) {
  ruleset_input.services[kEcho].udp_cut = true;
  start();
  const Client who = client(kEcho);
  open_flow(who);
  flip({kEcho}, Colour::kGreen);
  const uint16_t backend = backend_of(udp_by_router(who));
  EXPECT_EQ(colour_of(backend), Colour::kGreen);
  EXPECT_EQ(pass(kBack, from_backend(who, backend)).destination_mac(), kClientMac);
}

TEST_F(Promise18Hop, UdpFlowStaysWhileItsClientSpeaksByTheHopOfBefore) {
  const Client who = client(kEcho);
  const uint16_t backend = start_with_router(who);
  for (int i = 0; i < 5; ++i) {
    udp_by_router(who);
    send_from_client(who);
    let_pass(teal::HopMoves::kUdpTicks);
  }
  udp_by_router(who);
  EXPECT_EQ(pass(kBack, from_backend(who, backend)).destination_mac(), kClientMac);
}

// ---- a router

TEST_F(HopMoves, FlowFollowsTheRouterOfItsHop) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  segment().flows().last_hops[flow_of(who)->state.last_hop] = kByRouter.word();
  EXPECT_EQ(backend_of(pass_by_router(kSide, who)), backend);
  EXPECT_TRUE(goes_to_router(acknowledge(who, backend, kNumber)));
  EXPECT_TRUE(is_steady(flow_of(who)->state));
}

TEST_F(HopMoves, AMoveThatARestartCutShortBeginsAgain) {
  const Client who = client(kWeb);
  const uint16_t backend = start_with_router(who);
  pass_by_router(kSide, who);
  restart(1);
  EXPECT_EQ(acknowledge(who, backend, kNumber + 1).destination_mac(), kClientMac);
  EXPECT_TRUE(is_steady(flow_of(who)->state));
  pass_by_router(kSide, who);
  EXPECT_TRUE(goes_to_router(acknowledge(who, backend, kNumber + 1)));
}

}  // namespace
}  // namespace teal::test
