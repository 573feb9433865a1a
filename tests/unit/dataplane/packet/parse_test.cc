// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/parse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>

#include "tests/support/packet_builder.h"
#include "tests/support/plain_twin.h"

namespace teal {

void PrintTo(ParseResult result, std::ostream* out) {
  static constexpr const char* kNames[] = {"kFlowPacket", "kIcmpError", "kOther",
                                           "kFragment",   "kTruncated", "kBadHeader"};
  *out << kNames[static_cast<int>(result)];
}

namespace {

using test::Frame;
using test::Layer;
using test::PacketBuilder;
using enum ParseResult;

// Parses a copy in a heap block of the exact size, so that AddressSanitizer sees a read past its end. Also
// compares the result with parse_plain.h.
ParsedPacket parse_first(const Frame& frame, size_t bytes) {
  const auto exact = std::make_unique<uint8_t[]>(bytes);
  std::copy_n(frame.begin(), bytes, exact.get());
  const ParsedPacket packet = parse(exact.get(), static_cast<uint32_t>(bytes));
  EXPECT_TRUE(test::plain_agrees(exact.get(), static_cast<uint32_t>(bytes), packet));
  return packet;
}

ParsedPacket parse_all(const Frame& frame) {
  return parse_first(frame, frame.size());
}
ParseResult result_of(const PacketBuilder& builder) {
  return parse_all(builder.build()).result;
}

PacketBuilder v4() {
  return PacketBuilder().ipv4("198.18.1.101", "198.18.0.10");
}
PacketBuilder v6() {
  return PacketBuilder().ipv6("fd18:1::101", "fd18::10");
}
PacketBuilder tcp4() {
  return v4().tcp(40000, 80).payload("hello");
}
PacketBuilder udp4() {
  return v4().udp(40000, 5300).payload("hello");
}
PacketBuilder tcp6() {
  return v6().tcp(40000, 80).payload("hello");
}
PacketBuilder udp6() {
  return v6().udp(40000, 5300).payload("hello");
}

// Replies from the VIP to the client: an ICMP error quotes such a packet.
Frame reply4() {
  return PacketBuilder().ipv4("198.18.0.10", "198.18.1.101").tcp(80, 40000).build();
}
Frame reply6() {
  return PacketBuilder().ipv6("fd18::10", "fd18:1::101").udp(5300, 40000).payload("x").build();
}
PacketBuilder router4() {
  return PacketBuilder().ipv4("198.18.1.1", "198.18.0.10");
}
PacketBuilder router6() {
  return PacketBuilder().ipv6("fd18:1::1", "fd18::10");
}

std::string text(const IpAddress& address, Be16 port) {
  return to_string(Socket{address, port});
}

void expect_flow(const ParsedPacket& packet, const char* source, const char* destination, uint8_t protocol) {
  EXPECT_EQ(text(packet.source, packet.source_port), source);
  EXPECT_EQ(text(packet.destination, packet.destination_port), destination);
  EXPECT_EQ(packet.protocol, protocol);
}

TEST(Parse, ReadsTcpOverIpv4) {
  const auto packet = parse_all(v4().tcp(40000, 80, kTcpSyn | kTcpAck).payload("hello").build());
  EXPECT_EQ(packet.result, kFlowPacket);
  expect_flow(packet, "198.18.1.101:40000", "198.18.0.10:80", kProtocolTcp);
  EXPECT_EQ(packet.tcp_flags, kTcpSyn | kTcpAck);
  EXPECT_TRUE(packet.is_v4);
  EXPECT_EQ(packet.l4_offset, 34);
  EXPECT_EQ(packet.payload_bytes, 5);
}

TEST(Parse, ReadsUdpOverIpv6) {
  const auto packet = parse_all(udp6().build());
  EXPECT_EQ(packet.result, kFlowPacket);
  expect_flow(packet, "[fd18:1::101]:40000", "[fd18::10]:5300", kProtocolUdp);
  EXPECT_EQ(packet.tcp_flags, 0);
  EXPECT_FALSE(packet.is_v4);
  EXPECT_EQ(packet.l4_offset, 54);
  EXPECT_EQ(packet.payload_bytes, 5);
}

TEST(Parse, SkipsOptions) {
  const auto ip_options = parse_all(tcp4().ipv4_options({7, 7, 4, 0, 0, 0, 0}).build());
  EXPECT_EQ(ip_options.result, kFlowPacket);
  EXPECT_EQ(ip_options.l4_offset, 42);
  expect_flow(ip_options, "198.18.1.101:40000", "198.18.0.10:80", kProtocolTcp);
  const auto tcp_options = parse_all(tcp4().tcp_options({2, 4, 5, 180}).build());
  EXPECT_EQ(tcp_options.l4_offset, 34);
  EXPECT_EQ(tcp_options.payload_bytes, 5);
}

TEST(Parse, SkipsAtMostSixExtensionHeaders) {
  auto builder = tcp6().hop_by_hop({5, 2, 0, 0}).destination_options().routing(4, 0, 1).destination_options();
  builder.fragment(0, false).destination_options(std::vector<uint8_t>(100, 0));
  const auto packet = parse_all(builder.build());
  EXPECT_EQ(packet.result, kFlowPacket);
  EXPECT_EQ(packet.l4_offset, 54 + 8 + 8 + 24 + 8 + 8 + 104);
  EXPECT_EQ(packet.payload_bytes, 5);
  expect_flow(packet, "[fd18:1::101]:40000", "[fd18::10]:80", kProtocolTcp);
  EXPECT_EQ(result_of(builder.destination_options()), kOther);
}

TEST(Parse, TtlComesFromTheOuterHeader) {
  EXPECT_EQ(parse_all(tcp4().ttl(7).build()).ttl, 7);
  EXPECT_EQ(parse_all(udp6().ttl(255).build()).ttl, 255);
  EXPECT_EQ(parse_all(tcp6().ttl(0).hop_by_hop().build()).ttl, 0);
  EXPECT_EQ(parse_all(router4().ttl(3).icmp_unreachable(reply4()).build()).ttl, 3);
  EXPECT_EQ(parse_all(router6().ttl(4).icmp_unreachable(reply6()).build()).ttl, 4);
}

TEST(Parse, CountsPayloadByTheIpLength) {
  for (const auto& builder : {v4().tcp(1, 2), v4().udp(1, 2), v6().tcp(1, 2), v6().udp(1, 2)}) {
    const auto packet = parse_all(PacketBuilder(builder).pad_to(90).build());
    EXPECT_EQ(packet.result, kFlowPacket);
    EXPECT_EQ(packet.payload_bytes, 0);
  }
}

TEST(Parse, PacketsThatBelongToNoFlowAreOther) {
  EXPECT_EQ(result_of(PacketBuilder().ether_type(0x0806).payload_bytes(28)), kOther);  // ARP
  EXPECT_EQ(result_of(PacketBuilder().ether_type(38).payload_bytes(38)), kOther);      // LLC: a length
  EXPECT_EQ(result_of(PacketBuilder()), kOther);  // an Ethernet header alone
  EXPECT_EQ(result_of(tcp4().vlan(7)), kOther);
  EXPECT_EQ(result_of(v4().protocol(89).payload_bytes(44)), kOther);             // OSPF
  EXPECT_EQ(result_of(v4().icmp(8, 0).payload_bytes(56)), kOther);               // echo
  EXPECT_EQ(result_of(v6().icmp(135, 0).payload_bytes(20)), kOther);             // neighbour solicitation
  EXPECT_EQ(result_of(v6()), kOther);                                            // no next header
  EXPECT_EQ(result_of(tcp6().extension(51, std::vector<uint8_t>(16))), kOther);  // AH
  EXPECT_EQ(result_of(v4().protocol(58).payload_bytes(60)), kOther);             // the other family's ICMP
  EXPECT_EQ(result_of(v6().protocol(1).payload_bytes(60)), kOther);
}

TEST(Parse, SourceRoutedPacketsAreOther) {
  EXPECT_EQ(result_of(tcp4().ipv4_options({131, 7, 4, 10, 0, 0, 1})), kOther);
  EXPECT_EQ(result_of(tcp4().ipv4_options({1, 1, 137, 7, 4, 10, 0, 0, 1})), kOther);
  EXPECT_EQ(result_of(tcp6().routing(0, 1, 1)), kOther);
  EXPECT_EQ(result_of(tcp6().routing(0, 0, 1)), kFlowPacket);  // arrived
  // Bytes after the end-of-options option are ignored.
  EXPECT_EQ(result_of(tcp4().ipv4_options({0, 131, 7, 4})), kFlowPacket);
}

TEST(Parse, FindsFragments) {
  EXPECT_EQ(result_of(udp4().fragment(0, true)), kFragment);
  EXPECT_EQ(result_of(v4().protocol(17).payload_bytes(32).fragment(1480, true)), kFragment);
  EXPECT_EQ(result_of(v4().protocol(17).payload_bytes(5).fragment(1480, false)), kFragment);
  EXPECT_EQ(result_of(udp6().fragment(0, true)), kFragment);
  EXPECT_EQ(result_of(v6().protocol(17).payload_bytes(5).fragment(1448, false)), kFragment);
  EXPECT_EQ(result_of(router4().icmp_unreachable(reply4()).fragment(0, true)), kFragment);
}

TEST(Parse, GivesTheAddressesOfFragments) {
  for (const auto& builder : {v4().protocol(17).payload_bytes(5).fragment(1480, false),
                              v6().protocol(17).payload_bytes(5).fragment(1448, false)}) {
    const auto packet = parse_all(builder.build());
    EXPECT_EQ(packet.source.to_string(), packet.is_v4 ? "198.18.1.101" : "fd18:1::101");
    EXPECT_EQ(packet.destination.to_string(), packet.is_v4 ? "198.18.0.10" : "fd18::10");
    EXPECT_EQ(packet.protocol, kProtocolUdp);
    EXPECT_EQ(packet.source_port.host(), 0);
  }
}

TEST(Parse, WholePacketsAreNotFragments) {
  EXPECT_EQ(result_of(tcp4().poke(Layer::kIp, 6, {0x40})), kFlowPacket);  // "don't fragment"
  EXPECT_EQ(result_of(tcp4().poke(Layer::kIp, 6, {0x80})), kFlowPacket);  // reserved bit
  const auto atomic = parse_all(tcp6().fragment(0, false).build());       // RFC 6946
  EXPECT_EQ(atomic.result, kFlowPacket);
  EXPECT_EQ(atomic.l4_offset, 62);
}

TEST(Parse, RefusesInvalidFields) {
  EXPECT_EQ(result_of(tcp4().poke(Layer::kIp, 0, {0x65})), kBadHeader);  // version
  EXPECT_EQ(result_of(tcp4().poke(Layer::kIp, 0, {0x44})), kBadHeader);  // header length below 20
  EXPECT_EQ(result_of(v4().protocol(89).payload_bytes(44).poke(Layer::kIp, 0, {0x44})), kBadHeader);
  EXPECT_EQ(result_of(tcp4().poke(Layer::kIp, 2, {0, 19})), kBadHeader);  // shorter than its header
  EXPECT_EQ(result_of(tcp6().poke(Layer::kIp, 0, {0x45})), kBadHeader);   // version
  EXPECT_EQ(result_of(tcp4().ether_type(0x86dd).payload_bytes(99)), kBadHeader);
  EXPECT_EQ(result_of(tcp6().ether_type(0x0800)), kBadHeader);
  EXPECT_EQ(result_of(tcp4().poke(Layer::kTransport, 12, {0x40})), kBadHeader);  // data offset below 5
  EXPECT_EQ(result_of(tcp4().poke(Layer::kTransport, 12, {0x70})), kBadHeader);  // beyond the IP length
  EXPECT_EQ(result_of(tcp4().poke(Layer::kTransport, 12, {0x70}).pad_to(100)), kBadHeader);
  EXPECT_EQ(result_of(tcp4().tcp_options({1, 1, 1, 1}).payload("")), kFlowPacket);  // just fits
  EXPECT_EQ(result_of(udp4().poke(Layer::kTransport, 4, {0, 7})), kBadHeader);      // UDP length below 8
  EXPECT_EQ(result_of(udp4().poke(Layer::kTransport, 4, {0, 14})), kBadHeader);     // beyond the IP length
  EXPECT_EQ(result_of(udp4().poke(Layer::kTransport, 4, {0, 14}).pad_to(100)), kBadHeader);
  EXPECT_EQ(result_of(udp4().poke(Layer::kTransport, 4, {0, 8})), kFlowPacket);
  EXPECT_EQ(result_of(udp6().poke(Layer::kTransport, 4, {0, 8})), kFlowPacket);
  EXPECT_EQ(result_of(udp6().poke(Layer::kTransport, 4, {0, 7})), kBadHeader);
  EXPECT_EQ(result_of(udp6().poke(Layer::kTransport, 4, {0, 14})), kBadHeader);
  EXPECT_EQ(result_of(tcp4().ipv4_options({7, 1, 0, 0})), kBadHeader);  // option length below 2
  EXPECT_EQ(result_of(tcp4().ipv4_options({7, 5, 0, 0})), kBadHeader);  // beyond the options
  EXPECT_EQ(result_of(tcp4().ipv4_options({1, 1, 1, 7})), kBadHeader);  // without a length
}

// Otherwise ::ffff:198.18.0.10 in an IPv6 header would match the IPv4 service.
TEST(Parse, RefusesIpv4MappedAddressesOnTheWire) {
  const auto mapped = {uint8_t{0}, uint8_t{0}, uint8_t{0}, uint8_t{0}, uint8_t{0},    uint8_t{0},
                       uint8_t{0}, uint8_t{0}, uint8_t{0}, uint8_t{0}, uint8_t{0xff}, uint8_t{0xff}};
  EXPECT_EQ(result_of(tcp6().poke(Layer::kIp, 8, mapped)), kBadHeader);
  EXPECT_EQ(result_of(tcp6().poke(Layer::kIp, 24, mapped)), kBadHeader);
  const Frame quoted = tcp6().poke(Layer::kIp, 8, mapped).build();
  EXPECT_EQ(result_of(router6().icmp_unreachable(quoted)), kOther);
}

TEST(Parse, HeadersBeyondTheIpLengthAreTruncated) {
  EXPECT_EQ(result_of(v4().protocol(6).payload_bytes(19).pad_to(100)), kTruncated);
  EXPECT_EQ(result_of(v4().protocol(17).payload_bytes(7).pad_to(100)), kTruncated);
  EXPECT_EQ(result_of(v6().protocol(6).payload_bytes(19).pad_to(100)), kTruncated);
  EXPECT_EQ(result_of(v6().protocol(60).payload_bytes(7).pad_to(100)), kTruncated);
  EXPECT_EQ(result_of(v6().protocol(60).payload({17, 1, 0, 0, 0, 0, 0, 0}).pad_to(100)), kTruncated);
  EXPECT_EQ(result_of(v6().protocol(44).payload_bytes(7).pad_to(100)), kTruncated);
}

TEST(Parse, ReadsIcmpErrorsOverIpv4) {
  const auto packet = parse_all(router4().icmp_unreachable(reply4(), 28).build());
  EXPECT_EQ(packet.result, kIcmpError);
  expect_flow(packet, "198.18.0.10:80", "198.18.1.101:40000", kProtocolTcp);
  EXPECT_TRUE(packet.is_v4);
  EXPECT_EQ(packet.tcp_flags, 0);
  EXPECT_EQ(packet.l4_offset, 34);
  EXPECT_EQ(packet.quoted_l3_offset, 42);
  EXPECT_EQ(packet.quoted_l4_offset, 62);
  EXPECT_EQ(packet.quoted_l4_bytes, 8);
}

TEST(Parse, ReadsIcmpErrorsOverIpv6) {
  const Frame quoted =
      PacketBuilder().ipv6("fd18::10", "fd18:1::101").destination_options().udp(5300, 40000).build();
  const auto packet = parse_all(router6().hop_by_hop().icmp_unreachable(quoted).build());
  EXPECT_EQ(packet.result, kIcmpError);
  expect_flow(packet, "[fd18::10]:5300", "[fd18:1::101]:40000", kProtocolUdp);
  EXPECT_EQ(packet.l4_offset, 62);
  EXPECT_EQ(packet.quoted_l3_offset, 70);
  EXPECT_EQ(packet.quoted_l4_offset, 118);
  EXPECT_EQ(packet.quoted_l4_bytes, 8);
}

TEST(Parse, KnowsTheIcmpTypesThatAreErrorsOfAFlow) {
  for (int type = 0; type < 256; ++type) {
    const auto number = static_cast<uint8_t>(type);
    const bool v4_error =
        type == 3 || type == 4 || type == 11 || type == 12;  // 5, redirect, is not forwarded
    const bool v6_error = type >= 1 && type <= 4;
    EXPECT_EQ(result_of(router4().icmp_error(number, 0, reply4())), v4_error ? kIcmpError : kOther) << type;
    EXPECT_EQ(result_of(router6().icmp_error(number, 0, reply6())), v6_error ? kIcmpError : kOther) << type;
  }
}

TEST(Parse, IcmpErrorsThatNameNoFlowAreOther) {
  for (size_t quoted = 0; quoted <= 40; ++quoted)
    EXPECT_EQ(result_of(router4().icmp_unreachable(reply4(), quoted)), quoted < 24 ? kOther : kIcmpError)
        << quoted;
  for (size_t quoted = 0; quoted <= 49; ++quoted)
    EXPECT_EQ(result_of(router6().icmp_unreachable(reply6(), quoted)), quoted < 44 ? kOther : kIcmpError)
        << quoted;
  for (size_t bytes = 0; bytes < 8; ++bytes) {  // shorter than an ICMP header
    EXPECT_EQ(result_of(v4().protocol(1).payload(std::vector<uint8_t>(bytes, 3)).pad_to(100)), kOther);
    EXPECT_EQ(result_of(v6().protocol(58).payload(std::vector<uint8_t>(bytes, 3)).pad_to(100)), kOther);
  }
  const Frame echo4 = v4().icmp(8, 0).payload_bytes(20).build(),
              echo6 = v6().icmp(128, 0).payload_bytes(20).build();
  EXPECT_EQ(result_of(router4().icmp_unreachable(echo4)), kOther);
  EXPECT_EQ(result_of(router6().icmp_unreachable(echo6)), kOther);
  EXPECT_EQ(result_of(router4().icmp_unreachable(reply6())), kOther);  // the other version
  EXPECT_EQ(result_of(router6().icmp_unreachable(reply4())), kOther);
  EXPECT_EQ(result_of(router4().icmp_unreachable(tcp4().poke(Layer::kIp, 0, {0x44}).build())), kOther);
}

TEST(Parse, QuotedFirstFragmentsHavePortsAndLaterOnesNone) {
  const Frame first4 = udp4().fragment(0, true).build(), first6 = udp6().fragment(0, true).build();
  EXPECT_EQ(result_of(router4().icmp_unreachable(first4)), kIcmpError);
  EXPECT_EQ(result_of(router6().icmp_unreachable(first6)), kIcmpError);
  const Frame later4 = v4().protocol(17).payload_bytes(40).fragment(1480, false).build();
  const Frame later6 = v6().protocol(17).payload_bytes(40).fragment(1448, false).build();
  EXPECT_EQ(result_of(router4().icmp_unreachable(later4)), kOther);
  EXPECT_EQ(result_of(router6().icmp_unreachable(later6)), kOther);
}

std::vector<Frame> samples() {
  const Frame options_quoted = tcp4().ipv4_options({7, 7, 4, 0, 0, 0, 0}).build();
  std::vector<Frame> frames;
  for (const auto& builder :
       {tcp4(), udp4(), tcp6(), udp6(), tcp4().ipv4_options({7, 7, 4, 0, 0, 0, 0}),
        tcp4().tcp_options({2, 4, 5, 180}), tcp6().hop_by_hop().routing(4, 0, 1).destination_options(),
        udp6().fragment(0, false), router4().icmp_unreachable(reply4()), router6().icmp_unreachable(reply6()),
        router4().icmp_unreachable(options_quoted),
        router6().icmp_unreachable(udp6().destination_options().build())})
    frames.push_back(builder.build());
  return frames;
}

// parse() reads nothing past the end (AddressSanitizer) and accepts no frame that lacks bytes.
TEST(Parse, CutFramesAreTruncated) {
  for (const Frame& frame : samples()) {
    for (size_t bytes = 0; bytes < frame.size(); ++bytes)
      EXPECT_EQ(parse_first(frame, bytes).result, kTruncated) << bytes << " of " << frame.size();
  }
}

TEST(Parse, PaddingChangesNothing) {
  for (const Frame& frame : samples()) {
    Frame longer = frame;
    longer.resize(frame.size() + 46, 0xee);
    const auto a = parse_all(frame), b = parse_all(longer);
    EXPECT_EQ(a.result, b.result);
    EXPECT_EQ(a.payload_bytes, b.payload_bytes);
    EXPECT_EQ(a.quoted_l4_bytes, b.quoted_l4_bytes);
  }
}

// Frames with a damaged byte that end anywhere: offsets of accepted frames lie inside the frame.
TEST(Parse, OffsetsOfDamagedFramesStayInside) {
  std::mt19937 random(3);
  for (const Frame& sample : samples()) {
    for (int round = 0; round < 5000; ++round) {
      Frame frame = sample;
      for (uint32_t damage = random() % 3 + 1; damage > 0; --damage)
        frame[12 + random() % (frame.size() - 12)] = static_cast<uint8_t>(random());
      frame.resize(frame.size() - random() % 8);
      const auto packet = parse_all(frame);
      if (packet.result == kFlowPacket) {
        const size_t header_bytes =
            packet.protocol == kProtocolTcp ? 4u * (frame.at(packet.l4_offset + 12u) >> 4) : 8u;
        EXPECT_LE(packet.l4_offset + header_bytes + packet.payload_bytes, frame.size());
      } else if (packet.result == kIcmpError) {
        EXPECT_GE(packet.quoted_l4_bytes, 4);
        EXPECT_LE(size_t{packet.quoted_l4_offset} + packet.quoted_l4_bytes, frame.size());
      }
    }
  }
}

}  // namespace
}  // namespace teal
