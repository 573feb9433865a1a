// SPDX-License-Identifier: Apache-2.0
//
// One packet in, one packet out: addresses, MACs, TTL and checksums; and the packets that are not forwarded.
#include <bit>
#include <utility>

#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

using Forwarding = WorkerTest;
using Promise13 = WorkerTest;
using Promise14 = WorkerTest;

std::string_view payload_of(const Frame& frame, size_t bytes) {
  return {reinterpret_cast<const char*>(frame.data()) + frame.size() - bytes, bytes};
}

uint8_t& ttl_of(Frame& frame) {
  return frame[frame[14] >> 4 == 4 ? 14 + 8 : 14 + 7];
}

class ForwardingOfEachService : public WorkerTest, public testing::WithParamInterface<uint16_t> {};
INSTANTIATE_TEST_SUITE_P(Services, ForwardingOfEachService, testing::Values(kWeb, kWeb6, kEcho, kEcho6),
                         service_param_name);

TEST_P(ForwardingOfEachService, FirstPacketGoesToABackendOfTheActivePool) {
  start();
  const Client who = client(GetParam());
  const Sent sent = pass(kFront, from_client(who, kSyn, "hello"));
  ASSERT_EQ(sent.port, kBack);
  const uint16_t backend = backend_of(sent);
  ASSERT_NE(backend, kNoId);
  EXPECT_EQ(ruleset_input.backends[backend].service, GetParam());
  EXPECT_EQ(colour_of(backend), Colour::kBlue);
  EXPECT_EQ(sent.from(), to_string(Socket{who.address, Be16::from_host(who.port), 0}));
  EXPECT_EQ(sent.destination_mac(), backend_mac(backend));
  EXPECT_EQ(sent.source_mac(), kBackMac);
  EXPECT_EQ(sent.ttl(), 63);
  EXPECT_EQ(payload_of(sent.frame, 5), "hello");
  EXPECT_TRUE(checksums_are_right(sent.frame));
  EXPECT_EQ(count(Event::k_flows_created), 1u);
}

TEST_P(ForwardingOfEachService, ReplyCarriesTheVipToTheHopThatTheClientCameBy) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = send_from_client(who, kSyn);
  const Sent reply = pass(kBack, from_backend(who, backend, kSynAck, "welcome"));
  ASSERT_EQ(reply.port, kFront);
  EXPECT_EQ(reply.from(), to_string(ruleset_input.services[GetParam()].vip));
  EXPECT_EQ(reply.to(), to_string(Socket{who.address, Be16::from_host(who.port), 0}));
  EXPECT_EQ(reply.destination_mac(), kClientMac);
  EXPECT_EQ(reply.source_mac(), kEdgeMac);
  EXPECT_EQ(reply.ttl(), 63);
  EXPECT_EQ(payload_of(reply.frame, 7), "welcome");
  EXPECT_TRUE(checksums_are_right(reply.frame));
}

TEST_P(ForwardingOfEachService, BrokenChecksumLeavesBroken) {
  start();
  const Client who = client(GetParam());
  Frame broken = from_client(who, kSyn, "hello");
  broken.back() ^= 0x20;
  const Sent sent = pass(kFront, broken);
  EXPECT_EQ(sent.port, kBack);
  EXPECT_FALSE(checksums_are_right(sent.frame));
  Frame answer = from_backend(who, backend_of(sent), kSynAck, "hello");
  answer.back() ^= 0x20;
  EXPECT_FALSE(checksums_are_right(pass(kBack, answer).frame));
}

// The kernel answers such a packet. If it began a flow, a traceroute would look like a flood.
TEST_P(ForwardingOfEachService, PacketOfTtl1OrLessIsPuntedUnchangedMakesNoFlowAndCountsNothing) {
  start();
  for (const uint8_t ttl : {0, 1}) {
    Frame last = from_client(client(GetParam()), kSyn);
    ttl_of(last) = ttl;
    EXPECT_TRUE(punts_unchanged(kFront, last));
  }
  EXPECT_EQ(count(Event::k_tx), 0u);
  EXPECT_EQ(flows(), 0u);
  EXPECT_EQ(count(Event::k_flows_created), 0u);
  const ServiceColourCounters& blue = segment().worker(0).services[GetParam()][0];
  EXPECT_EQ(blue.packets[0].read() + blue.bytes[0].read() + blue.midstream.read(), 0u);
  Frame last_but_one = from_client(client(GetParam()), kSyn);
  ttl_of(last_but_one) = 2;
  EXPECT_EQ(pass(kFront, last_but_one).ttl(), 1);
}

TEST_P(ForwardingOfEachService, PacketOfTtl1ChangesNoFlow) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = send_from_client(who, kSyn);
  const auto before = std::bit_cast<uint64_t>(flow_of(who)->state);
  Frame answer = from_backend(who, backend, kSynAck), rst = from_client(who, kRst);
  ttl_of(answer) = ttl_of(rst) = 1;
  EXPECT_TRUE(punts_unchanged(kBack, answer));
  EXPECT_TRUE(punts_unchanged(kFront, rst));
  EXPECT_EQ(std::bit_cast<uint64_t>(flow_of(who)->state), before);
}

TEST_P(ForwardingOfEachService, ReplyOfNoFlowIsPuntedUnchanged) {
  start();
  const Client who = client(GetParam());
  for (const NumberedBackend& backend : ruleset_input.backends) {
    if (backend.service == GetParam()) {
      EXPECT_TRUE(punts_unchanged(kBack, from_backend(who, backend.id, kSynAck)));
    }
  }
  EXPECT_EQ(flows(), 0u);
}

// Replies carry the VIP after flips, and while a backend of the other colour answers the same client.
TEST_F(Promise14, RepliesCarryTheVipOverFlipsAndRollbacks) {
  start();
  for (const uint16_t service : {kWeb, kWeb6, kEcho, kEcho6}) {
    const Client on_blue = client(service, 0), on_green = client(service, 1);
    const uint16_t blue = open_flow(on_blue);
    flip({service}, Colour::kGreen);
    const uint16_t green = open_flow(on_green);
    for (const Colour active : {Colour::kGreen, Colour::kBlue}) {
      flip({service}, active);
      for (const auto& [who, backend] : {std::pair{on_blue, blue}, std::pair{on_green, green}}) {
        const Sent reply = pass(kBack, from_backend(who, backend, kAck, "data"));
        EXPECT_EQ(reply.from(), to_string(ruleset_input.services[service].vip));
        EXPECT_TRUE(checksums_are_right(reply.frame));
      }
    }
  }
}

TEST_F(Forwarding, UdpChecksumOf0Stays) {
  start();
  const Client who = client(kEcho);
  const Frame query = PacketBuilder()
                          .ipv4("198.18.1.101", "198.18.0.10")
                          .udp(who.port, 5300)
                          .no_udp_checksum()
                          .payload("q")
                          .build();
  const Sent sent = pass(kFront, query);
  ASSERT_EQ(sent.port, kBack);
  EXPECT_EQ(sent.frame[14 + 20 + 6], 0);
  EXPECT_EQ(sent.frame[14 + 20 + 7], 0);
  EXPECT_TRUE(checksums_are_right(sent.frame));
}

// The IP packet has bytes past the UDP datagram: the packet is not plain, and is forwarded all the same.
TEST_F(Forwarding, UdpShorterThanItsIpPacketGoesToItsBackend) {
  start();
  const Frame query = PacketBuilder()
                          .ipv4("198.18.1.101", "198.18.0.10")
                          .udp(client(kEcho).port, 5300)
                          .no_udp_checksum()
                          .payload("query")
                          .poke(test::Layer::kTransport, 4, {0, 8 + 2})
                          .build();
  const Sent sent = pass(kFront, query);
  ASSERT_EQ(sent.port, kBack);
  EXPECT_EQ(sent.frame.size(), query.size());
  EXPECT_EQ(pass(kFront, query).frame, sent.frame);  // now it has a flow
}

TEST_F(Forwarding, EthernetPaddingStaysOutsideOfTheIpPacket) {
  start();
  const Frame padded =
      PacketBuilder().ipv4("198.18.1.101", "198.18.0.10").tcp(40'000, 80, kSyn).pad_to(60).build();
  const Sent sent = pass(kFront, padded);
  EXPECT_EQ(sent.frame.size(), 60u);
  EXPECT_TRUE(checksums_are_right(sent.frame));
}

TEST_F(Promise13, PacketsOfNoServiceArePuntedUnchanged) {
  start();
  const auto to_vip = [] { return PacketBuilder(PacketBuilder().ipv4("198.18.1.101", "198.18.0.10")); };
  EXPECT_TRUE(punts_unchanged(kFront, to_vip().tcp(40'000, 22, kSyn).build()));  // SSH to the edge
  EXPECT_TRUE(
      punts_unchanged(kFront, to_vip().udp(40'000, 80).build()));  // a service's port, the other protocol
  EXPECT_TRUE(punts_unchanged(kFront, to_vip().icmp(8, 0, 1).payload("ping").build()));
  EXPECT_TRUE(punts_unchanged(
      kFront, PacketBuilder().ipv4("198.18.1.101", "198.18.9.9").tcp(40'000, 80, kSyn).build()));
  EXPECT_TRUE(
      punts_unchanged(kFront, PacketBuilder().ipv6("fd18:1::101", "ff02::1:ff00:10").icmp(135, 0).build()));
  EXPECT_TRUE(punts_unchanged(kFront, PacketBuilder().ether_type(0x0806).payload_bytes(46).build()));  // ARP
  EXPECT_TRUE(punts_unchanged(
      kFront, PacketBuilder().vlan(7).ipv4("198.18.1.101", "198.18.0.10").tcp(1, 80, kSyn).build()));
  EXPECT_EQ(count(Event::k_tx), 0u);
  EXPECT_EQ(flows(), 0u);
}

TEST_F(Promise13, TrafficOfOthersWithABackendIsPuntedUnchanged) {
  start();
  // To a backend's own address, and its answer: a health check of the host, or a connection that is only
  // routed through.
  EXPECT_TRUE(punts_unchanged(
      kFront, PacketBuilder().ipv4("198.18.1.101", "198.18.2.11").tcp(50'000, 8080, kSyn).build()));
  EXPECT_TRUE(punts_unchanged(
      kBack, PacketBuilder().ipv4("198.18.2.11", "198.18.1.101").tcp(8080, 50'000, kSynAck).build()));
  // A backend's other ports.
  EXPECT_TRUE(punts_unchanged(
      kBack, PacketBuilder().ipv4("198.18.2.11", "198.18.1.101").tcp(22, 50'000, kAck).build()));
}

TEST_F(Promise13, PacketFromABackendsAddressOnAClientPortIsNotAReply) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  EXPECT_TRUE(punts_unchanged(kFront, from_backend(who, backend, kRst)));
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
}

TEST_F(Promise13, BeforeTheFirstPublicationEveryPacketIsPunted) {
  start_unpublished();
  EXPECT_TRUE(punts_unchanged(kFront, from_client(client(kWeb), kSyn)));
  EXPECT_TRUE(punts_unchanged(kBack, from_backend(client(kWeb6), 4, kSynAck)));
  publish();
  EXPECT_EQ(pass(kFront, from_client(client(kWeb), kSyn)).port, kBack);
}

TEST_F(Forwarding, BrokenPacketsAreDroppedByReason) {
  start();
  const Frame whole = from_client(client(kWeb), kSyn);
  for (const size_t bytes : {size_t{13}, size_t{14}, size_t{20}, size_t{33}, size_t{34}, size_t{53}})
    EXPECT_TRUE(drops(DropReason::k_truncated, kFront,
                      Frame(whole.begin(), whole.begin() + static_cast<long>(bytes))));
  Frame bad_offset = whole;
  bad_offset[14 + 20 + 12] = 0x10;  // TCP header of 4 bytes
  EXPECT_TRUE(drops(DropReason::k_bad_header, kFront, bad_offset));
  Frame bad_length = whole;
  bad_length[14] = 0x44;  // IPv4 header of 16 bytes
  EXPECT_TRUE(drops(DropReason::k_bad_header, kFront, bad_length));
  EXPECT_EQ(flows(), 0u);
}

TEST_F(Forwarding, FragmentsArePuntedOnAPortWithoutSteering) {
  start();
  EXPECT_TRUE(punts_unchanged(
      kFront,
      PacketBuilder().ipv4("198.18.1.101", "198.18.0.10").fragment(0, true).tcp(40'000, 80, kSyn).build()));
}

TEST_F(Forwarding, FragmentsOnASteeredPortAreDropped) {
  start({.steered = true});
  const auto first =
      PacketBuilder().ipv4("198.18.1.101", "198.18.0.10").fragment(0, true).tcp(40'000, 80, kSyn).build();
  const auto later =
      PacketBuilder().ipv6("fd18:1::101", "fd18::10").fragment(1480, false).payload_bytes(64).build();
  EXPECT_TRUE(drops(DropReason::k_fragment, kFront, first));
  EXPECT_TRUE(drops(DropReason::k_fragment, kFront, later));
}

TEST_F(Forwarding, BackendHasNoNextHopUntilTheKernelKnowsItsNeighbour) {
  start();
  const Client who = client(kWeb);
  for (auto& hop : header().next_hops) hop.store(Hop::kNone);
  EXPECT_TRUE(drops(DropReason::k_no_next_hop, kFront, from_client(who, kSyn)));
  for (const NumberedBackend& backend : ruleset_input.backends)
    header().next_hops[backend.id].store(Hop{kBack, backend_mac(backend.id)}.word());
  EXPECT_NE(send_from_client(who, kSyn), kNoId);  // the retransmission
  EXPECT_EQ(count(Event::k_flows_created), 1u);
}

TEST_F(Forwarding, NextHopByAPortThatDoesNotRunCountsAsNone) {
  start();
  for (auto& hop : header().next_hops) hop.store(Hop{7, kDefaultHopMac}.word());
  EXPECT_TRUE(drops(DropReason::k_no_next_hop, kFront, from_client(client(kWeb), kSyn)));
}

TEST_F(Forwarding, NoFlowBeginsFromAnAddressThatNoClientHas) {
  start();
  const std::pair<uint16_t, const char*> martians[] = {
      {kWeb, "0.0.0.1"},    {kWeb, "127.0.0.1"}, {kWeb, "224.0.0.1"}, {kWeb, "255.255.255.255"},
      {kEcho, "127.0.0.1"}, {kWeb6, "::1"},      {kWeb6, "ff02::1"},  {kWeb6, "fe80::1"}};
  for (const auto& [service, address] : martians) {
    Client who = client(service);
    who.address = *IpAddress::parse(address);
    EXPECT_TRUE(drops(DropReason::k_martian, kFront, from_client(who, kSyn))) << address;
  }
  for (const uint16_t service : {kWeb, kWeb6}) {
    Client who = client(service);
    who.address = vip(service).address;  // a reflection: the answer would go to the VIP itself
    EXPECT_TRUE(drops(DropReason::k_martian, kFront, from_client(who, kSyn)));
  }
  EXPECT_EQ(flows(), 0u);
}

TEST_F(Forwarding, ClientInABackendsSubnetIsRefused) {
  start();
  for (uint16_t backend = 0; backend < kBackends; ++backend)
    header().on_link_prefix_bits[backend].store(96 + 24);
  Client neighbour = client(kWeb);
  neighbour.address = *IpAddress::parse("198.18.2.50");
  EXPECT_TRUE(drops(DropReason::k_client_on_backend_link, kFront, from_client(neighbour, kSyn)));
  EXPECT_EQ(flows(), 0u);
  EXPECT_NE(send_from_client(client(kWeb), kSyn), kNoId);
}

TEST_F(Forwarding, PoolWithoutWeightHasNoBackend) {
  for (NumberedBackend& backend : ruleset_input.backends) {
    if (backend.service == kWeb) backend.weights[0] = backend.weights[0] ? std::optional(0u) : std::nullopt;
  }
  start();
  EXPECT_TRUE(drops(DropReason::k_no_backend, kFront, from_client(client(kWeb), kSyn)));
  EXPECT_NE(send_from_client(client(kEcho)), kNoId);
}

TEST_F(Forwarding, FullTransmitQueueDropsAndCounts) {
  start();
  const Frame syn = from_client(client(kWeb), kSyn);
  for (int i = 0; i < 1'200; ++i) {  // the ring holds 1,023
    inject(kFront, syn);
    settle();
  }
  EXPECT_EQ(count(Event::k_tx), 1'023u);
  EXPECT_EQ(count(DropReason::k_tx_full), 177u);
  EXPECT_EQ(collect().size(), 1'023u);
}

TEST_F(Forwarding, CountersPerServiceAndColourCountPacketsAndBytes) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);  // 2 packets in, 1 out, of 54 bytes each
  pass(kBack, from_backend(who, backend, kAck, "0123456789"));
  const ServiceColourCounters& blue = segment().worker(0).services[kWeb][0];
  EXPECT_EQ(blue.midstream.read() + blue.chosen_again.read(), 0u);
  EXPECT_EQ(blue.packets[0].read(), 2u);
  EXPECT_EQ(blue.bytes[0].read(), 108u);
  EXPECT_EQ(blue.packets[1].read(), 2u);
  EXPECT_EQ(blue.bytes[1].read(), 118u);
  EXPECT_EQ(segment().worker(0).services[kWeb][1].packets[0].read(), 0u);
}

}  // namespace
}  // namespace teal::test
