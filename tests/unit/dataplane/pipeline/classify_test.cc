// SPDX-License-Identifier: Apache-2.0
//
// classify() gives one packet its role, flow key and verdict. The worker fixture gives the services and
// backends; the workers are stopped, and the test calls the stage alone.
#include "dataplane/pipeline/classify.h"

#include <rte_mbuf.h>

#include "tests/unit/dataplane/ring_ports.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

constexpr Verdict kUndecided = Verdict::undecided(), kPunt = Verdict::punt(PuntClass::kHost),
                  kPuntToVip = Verdict::punt(PuntClass::kToVip);
constexpr uint8_t kBothSides = kClientSide | kBackendSide;

struct Classified {
  Verdict verdict;
  // The fields below are set if the packet has a flow key, even if it is punted because of its TTL.
  Role role = Role::kToVip;
  uint16_t service = kNoId;
  std::string client;
  uint16_t backend = kNoId;  // of a packet from the backends' side
};

struct ClassifyCase {
  const char* name;
  Frame frame;
  Classified expected;
  uint8_t side = kClientSide;
  bool steered = false;
  MacAddress port_mac = kFrontMac;
};

PacketBuilder from_to(const char* source, const char* destination) {
  PacketBuilder builder;
  std::string_view(source).find(':') == std::string_view::npos ? builder.ipv4(source, destination)
                                                               : builder.ipv6(source, destination);
  return builder;
}

// The packets that ICMP errors quote: of a client to a backend (translated already), and of a VIP to a
// client.
Frame web_to_backend() {
  return from_to("198.18.1.101", "198.18.2.11").tcp(40'000, 8080).build();
}
Frame web_reply() {
  return from_to("198.18.0.10", "198.18.1.101").tcp(80, 40'000).build();
}
Frame echo6_reply() {
  return from_to("fd18::10", "fd18:1::101").udp(5300, 40'000).build();
}

Frame cut_to(Frame frame, size_t bytes) {
  frame.resize(bytes);
  return frame;
}

const Classified kWebClient = {kUndecided, Role::kToVip, kWeb, "198.18.1.101:40000"};
const Classified kWeb6Client = {kUndecided, Role::kToVip, kWeb6, "[fd18:1::101]:40000"};
const Classified kWebReply = {kUndecided, Role::kFromBackend, kWeb, "198.18.1.101:40000", 0};
const Classified kWeb6Reply = {kUndecided, Role::kFromBackend, kWeb6, "[fd18:1::101]:40000", 4};

Classified expired(Classified packet) {
  packet.verdict = Verdict::punt(PuntClass::kExpired);
  return packet;
}
Classified dropped(DropReason reason) {
  return {Verdict::drop(reason)};
}

std::vector<ClassifyCase> to_a_vip() {
  const auto web = [] { return from_to("198.18.1.101", "198.18.0.10").tcp(40'000, 80, kTcpSyn); };
  const auto web6 = [] { return from_to("fd18:1::101", "fd18::10").tcp(40'000, 80, kTcpSyn); };
  return {
      {"Tcp4ToAVip", web().build(), kWebClient},
      {"Tcp6ToAVip", web6().build(), kWeb6Client},
      {"Udp4ToAVip",
       from_to("198.18.1.101", "198.18.0.10").udp(40'000, 5300).build(),
       {kUndecided, Role::kToVip, kEcho, "198.18.1.101:40000"}},
      {"Udp6ToAVip",
       from_to("fd18:1::101", "fd18::10").udp(40'000, 5300).build(),
       {kUndecided, Role::kToVip, kEcho6, "[fd18:1::101]:40000"}},
      {"Ipv4OptionsBeforeTcp", web().ipv4_options({1, 1, 1, 1}).build(), kWebClient},
      {"HopByHopOptionsBeforeTcp", web6().hop_by_hop().build(), kWeb6Client},
      {"PaddedToTheLeastFrame", web().pad_to(60).build(), kWebClient},
      {"VipOnTheBackendsSide", web().build(), kWebClient, kBackendSide},
      {"VipOnASteeredPort", web().build(), kWebClient, kClientSide, true},
      {"WrongChecksum", web().wrong_checksum(Layer::kTransport).build(), kWebClient},
      {"Ttl2", web().ttl(2).build(), kWebClient},
      {"Ttl1", web().ttl(1).build(), expired(kWebClient)},
      {"Ttl0", web().ttl(0).build(), expired(kWebClient)},
      {"HopLimit1", web6().ttl(1).build(), expired(kWeb6Client)},
      {"AnotherPortOfAVip", from_to("198.18.1.101", "198.18.0.10").tcp(40'000, 22).build(), {kPuntToVip}},
      {"TheOtherProtocolOfAVip",
       from_to("198.18.1.101", "198.18.0.10").udp(40'000, 80).build(),
       {kPuntToVip}},
      {"AnotherAddress", from_to("198.18.1.101", "198.18.0.11").tcp(40'000, 80).build(), {kPunt}},
      {"EchoRequestToAVip", from_to("198.18.1.101", "198.18.0.10").icmp(8, 0).build(), {kPuntToVip}},
      {"Arp", PacketBuilder().ether_type(0x0806).payload_bytes(46).build(), {kPunt}},
      {"VlanTag", web().vlan(7).build(), {kPunt}},
  };
}

std::vector<ClassifyCase> from_a_backend() {
  const auto web = [] { return from_to("198.18.2.11", "198.18.1.101").tcp(8080, 40'000, kTcpAck); };
  const auto web6 = [] { return from_to("fd18:2::11", "fd18:1::101").tcp(8080, 40'000, kTcpAck); };
  return {
      {"Tcp4FromABackend", web().build(), kWebReply, kBackendSide},
      {"Tcp6FromABackend", web6().build(), kWeb6Reply, kBackendSide},
      {"FromABackendOnAPortOfBothSides", web().build(), kWebReply, kBothSides},
      {"FromABackendOnTheClientsSide", web().build(), {kPunt}, kClientSide},
      {"FromABackendWithTtl1", web().ttl(1).build(), expired(kWebReply), kBackendSide},
      {"AnotherPortOfABackend",
       from_to("198.18.2.11", "198.18.1.101").tcp(22, 40'000).build(),
       {kPunt},
       kBackendSide},
      {"ToABackendsOwnAddress", web_to_backend(), {kPunt}},
  };
}

std::vector<ClassifyCase> icmp_errors() {
  const Classified about_reply = {kUndecided, Role::kIcmpToVip, kWeb, "198.18.1.101:40000"};
  const Classified about_request = {kUndecided, Role::kIcmpFromBackend, kWeb, "198.18.1.101:40000", 0};
  const auto to_vip = [] { return from_to("198.18.1.1", "198.18.0.10").icmp_unreachable(web_reply(), 28); };
  const auto to_client = [] {
    return from_to("198.18.2.1", "198.18.1.101").icmp_unreachable(web_to_backend(), 28);
  };
  return {
      {"IcmpErrorAboutAReply", to_vip().build(), about_reply},
      {"Icmp6ErrorAboutAReply",
       from_to("fd18:1::1", "fd18::10").icmp_unreachable(echo6_reply()).build(),
       {kUndecided, Role::kIcmpToVip, kEcho6, "[fd18:1::101]:40000"}},
      {"IcmpErrorAboutAClientsPacket", to_client().build(), about_request, kBackendSide},
      {"IcmpErrorAboutAClientsPacketOnTheClientsSide", to_client().build(), {kPunt}},
      {"IcmpErrorWithTtl1", to_vip().ttl(1).build(), expired(about_reply)},
      {"IcmpErrorAboutAnotherPort",
       from_to("198.18.1.1", "198.18.0.10")
           .icmp_unreachable(from_to("198.18.0.10", "198.18.1.101").tcp(22, 40'000).build())
           .build(),
       {kPuntToVip}},
  };
}

std::vector<ClassifyCase> without_ports() {
  const auto first = [] {
    return from_to("198.18.1.101", "198.18.0.10").fragment(0, true).tcp(40'000, 80).build();
  };
  const auto later6 = [] {
    return from_to("fd18:1::101", "fd18::10").fragment(1480, false).payload_bytes(64).build();
  };
  return {
      {"FragmentThatNobodySteered", first(), {kPuntToVip}},
      {"FragmentOnASteeredPort", first(), dropped(DropReason::k_fragment), kClientSide, true},
      {"Fragment6ThatNobodySteered", later6(), {kPuntToVip}},
      {"Fragment6OnASteeredPort", later6(), dropped(DropReason::k_fragment), kClientSide, true},
  };
}

std::vector<ClassifyCase> broken() {
  const auto web = [] { return from_to("198.18.1.101", "198.18.0.10").tcp(40'000, 80, kTcpSyn); };
  const auto web6 = [] { return from_to("fd18:1::101", "fd18::10").tcp(40'000, 80, kTcpSyn); };
  return {
      {"CutWithinTheEthernetHeader", cut_to(web().build(), 13), dropped(DropReason::k_truncated)},
      {"CutWithinTheIpv4Header", cut_to(web().build(), 33), dropped(DropReason::k_truncated)},
      {"CutWithinTheIpv6Header", cut_to(web6().build(), 53), dropped(DropReason::k_truncated)},
      {"CutWithinTheTcpHeader", cut_to(web().build(), 53), dropped(DropReason::k_truncated)},
      {"Ipv4HeaderOf16Bytes", web().poke(Layer::kIp, 0, {0x44}).build(), dropped(DropReason::k_bad_header)},
      {"TcpHeaderOf4Bytes", web().poke(Layer::kTransport, 12, {0x10}).build(),
       dropped(DropReason::k_bad_header)},
      {"UdpLengthOf7",
       from_to("198.18.1.101", "198.18.0.10").udp(40'000, 5300).poke(Layer::kTransport, 4, {0, 7}).build(),
       dropped(DropReason::k_bad_header)},
  };
}

// To an address that differs from the port's in one byte.
Frame with_mac_byte(Frame frame, size_t byte) {
  frame[byte] ^= 0x40;  // no port of the fixture has such an address
  return frame;
}

std::vector<ClassifyCase> by_mac_address() {
  const auto web_to = [](const MacAddress& mac) {
    return from_to("198.18.1.101", "198.18.0.10").eth(mac, kClientMac).tcp(40'000, 80, kTcpSyn);
  };
  const auto web6_to = [](const MacAddress& mac) {
    return from_to("fd18:1::101", "fd18::10").eth(mac, kClientMac).tcp(40'000, 80, kTcpSyn);
  };
  const auto reply_to = [](const MacAddress& mac) {
    return from_to("198.18.2.11", "198.18.1.101").eth(mac, kClientMac).tcp(8080, 40'000, kTcpAck);
  };
  constexpr MacAddress kOther{{0x02, 0, 0, 0, 0, 0x77}}, kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
  constexpr MacAddress kMulticast{{0x01, 0x00, 0x5e, 0, 0, 0x0a}}, kMulticast6{{0x33, 0x33, 0, 0, 0, 0x10}};
  constexpr MacAddress kFullMac{{0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54}};
  std::vector<ClassifyCase> cases = {
      {"ToTheMacOfAnotherHost", web_to(kOther).build(), {kPuntToVip}},
      {"ToTheMacOfAnotherHost6", web6_to(kOther).build(), {kPuntToVip}},
      {"ToTheSendersOwnMac", web_to(kClientMac).build(), {kPuntToVip}},
      {"Broadcast", web_to(kBroadcast).build(), {kPuntToVip}},
      {"Multicast", web_to(kMulticast).build(), {kPuntToVip}},
      {"Multicast6", web6_to(kMulticast6).build(), {kPuntToVip}},
      {"OfABackendToAnotherMac", reply_to(kOther).build(), {kPunt}, kBackendSide},
      {"IcmpErrorToAnotherMac",
       from_to("198.18.1.1", "198.18.0.10").eth(kOther, kClientMac).icmp_unreachable(web_reply(), 28).build(),
       {kPuntToVip}},
      {"ExpiredToAnotherMac", web_to(kOther).ttl(1).build(), {kPuntToVip}},
      {"BrokenToAnotherMac", web_to(kOther).poke(Layer::kIp, 0, {0x44}).build(), {kPunt}},
      {"ToAnotherMacCutWithinTheEthernetHeader", cut_to(web_to(kOther).build(), 13),
       dropped(DropReason::k_truncated)},
      {"ToAMacWithAllKindsOfBytes", web_to(kFullMac).build(), kWebClient, kClientSide, false, kFullMac},
      {"ToAnotherMacOnASteeredPort", web_to(kOther).build(), {kPuntToVip}, kClientSide, true},
      {"OnADeviceWithoutAMac", web_to(kOther).build(), kWebClient, kClientSide, false, MacAddress{}},
  };
  static constexpr const char* kNames[] = {"MacByte0Differs", "MacByte1Differs", "MacByte2Differs",
                                           "MacByte3Differs", "MacByte4Differs", "MacByte5Differs"};
  for (size_t byte = 0; byte < 6; ++byte)
    cases.push_back({kNames[byte], with_mac_byte(web_to(kFrontMac).build(), byte), {kPuntToVip}});
  return cases;
}

class Classify : public WorkerTest, public testing::WithParamInterface<ClassifyCase> {
 protected:
  Packet classify_alone(const ClassifyCase& packet_case) {
    start();
    stop_workers();
    const uint16_t ethdev = RingPorts::get().ethdev(kFront);
    std::vector<PortTraits> traits(ethdev + 1u);
    traits[ethdev] = {.hop_prefix = Hop::word_of(kFront, 0),
                      .id = kFront,
                      .side = packet_case.side,
                      .steered = packet_case.steered};
    traits[ethdev].set_mac(packet_case.port_mac);
    burst_->count = 1;
    burst_->mbufs[0] = make_mbuf(kFront, packet_case.frame);
    classify(*burst_, rules(), traits, LookAhead(*burst_, segment().flow_table()));
    rte_pktmbuf_free(burst_->mbufs[0]);
    return burst_->packets[0];
  }

 private:
  std::unique_ptr<Burst> burst_ = std::make_unique<Burst>();
};

TEST_P(Classify, GivesRoleKeyAndVerdict) {
  const Classified& expected = GetParam().expected;
  const Packet packet = classify_alone(GetParam());
  EXPECT_EQ(packet.verdict.kind(), expected.verdict.kind());
  if (expected.verdict.kind() == Verdict::Kind::kDrop) {
    EXPECT_EQ(packet.verdict.reason(), expected.verdict.reason());
  }
  if (expected.verdict.kind() == Verdict::Kind::kPunt) {
    EXPECT_EQ(packet.verdict.punt_class(), expected.verdict.punt_class());
  }
  if (expected.service == kNoId) return;
  EXPECT_EQ(packet.role, expected.role);
  EXPECT_EQ(packet.key.service, expected.service);
  EXPECT_EQ(to_string(Socket{packet.key.client, packet.key.client_port, 0}), expected.client);
  EXPECT_EQ(packet.location.hash, segment().flow_table().locate(packet.key).hash);
  if (expected.backend != kNoId) {
    EXPECT_EQ(packet.backend, expected.backend);
  }
}

std::string case_name(const testing::TestParamInfo<ClassifyCase>& packet_case) {
  return packet_case.param.name;
}
INSTANTIATE_TEST_SUITE_P(ToAVip, Classify, testing::ValuesIn(to_a_vip()), case_name);
INSTANTIATE_TEST_SUITE_P(FromABackend, Classify, testing::ValuesIn(from_a_backend()), case_name);
INSTANTIATE_TEST_SUITE_P(IcmpError, Classify, testing::ValuesIn(icmp_errors()), case_name);
INSTANTIATE_TEST_SUITE_P(WithoutPorts, Classify, testing::ValuesIn(without_ports()), case_name);
INSTANTIATE_TEST_SUITE_P(ByMacAddress, Classify, testing::ValuesIn(by_mac_address()), case_name);
INSTANTIATE_TEST_SUITE_P(Broken, Classify, testing::ValuesIn(broken()), case_name);

}  // namespace
}  // namespace teal::test
