// SPDX-License-Identifier: Apache-2.0
//
// The tests compare incremental checksums with full recomputation (tests/support/plain_checksum.h), on random
// packets.
#include "dataplane/packet/rewrite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>

#include "tests/support/packet_builder.h"
#include "tests/support/parsed_frame.h"

namespace teal {
namespace {

using test::destination_of;
using test::Frame;
using test::Layer;
using test::PacketBuilder;
using test::parse;
using test::source_of;
using test::wrong_checksums;
using Wrong = std::vector<std::string>;

Socket socket(const char* text, uint8_t protocol = kProtocolTcp) {
  Socket socket = parse_socket(text).value();
  socket.protocol = protocol;
  return socket;
}

class RandomPackets {
 public:
  explicit RandomPackets(uint32_t seed) : random_(seed) {}

  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }
  bool coin() { return below(2) == 1; }
  uint16_t port() { return static_cast<uint16_t>(below(65536)); }
  uint8_t protocol() { return coin() ? kProtocolTcp : kProtocolUdp; }

  IpAddress address(bool v4) {
    uint8_t bytes[16];
    for (auto& byte : bytes) byte = coin() ? static_cast<uint8_t>(random_()) : coin() ? 0xff : 0x00;
    bytes[0] = 0xfd;  // so that no IPv6 address is IPv4-mapped
    return v4 ? IpAddress::from_v4(bytes + 8) : IpAddress::from_v6(bytes);
  }
  Socket socket(bool v4, uint8_t protocol) { return {address(v4), Be16::from_host(port()), protocol}; }

  Frame packet(const Socket& source, const Socket& destination) {
    PacketBuilder builder;
    builder.ip(source.address, destination.address).ttl(static_cast<uint8_t>(1 + below(255)));
    if (source.address.is_v4()) builder.poke(Layer::kIp, 4, {byte(), byte()});  // the id
    if (below(8) == 0) add_headers(builder, source.address.is_v4());
    const uint16_t from = source.port.host(), to = destination.port.host();
    if (source.protocol == kProtocolTcp) {
      builder.tcp(from, to, static_cast<uint8_t>(below(64))).seq(below(~0u)).ack(below(~0u));
      if (coin()) builder.tcp_options({8, 10, byte(), byte(), 0, 0, 0, 0, 0, 1});
    } else {
      builder.udp(from, to);
      if (source.address.is_v4() && below(8) == 0) builder.no_udp_checksum();
    }
    std::vector<uint8_t> payload(below(64));
    for (auto& value : payload) value = byte();
    return builder.payload(std::move(payload)).pad_to(coin() ? 60 : 0).build();
  }

  // Returns an ICMP error that `sender` sends about a packet from `source` to `destination`.
  Frame icmp_error(const IpAddress& sender, const IpAddress& receiver, const Socket& source,
                   const Socket& destination) {
    static constexpr uint8_t kTypes4[] = {3, 4, 11, 12};
    const uint8_t type = sender.is_v4() ? kTypes4[below(4)] : static_cast<uint8_t>(1 + below(4));
    const Frame quoted = packet(source, destination);
    const size_t least = teal::parse(quoted.data(), static_cast<uint32_t>(quoted.size())).l4_offset - 14u + 4;
    return PacketBuilder().ip(sender, receiver).icmp_error(type, 0, quoted, least + below(60)).build();
  }

 private:
  uint8_t byte() { return static_cast<uint8_t>(random_()); }
  void add_headers(PacketBuilder& builder, bool v4) {
    if (v4) {
      builder.ipv4_options({7, 7, 4, byte(), byte(), 0, 0});
    } else {
      builder.hop_by_hop().destination_options({5, 2, byte(), byte()});
    }
  }

  std::mt19937_64 random_;
};

constexpr int kPackets = 100000;

TEST(Rewrite, DestinationAndBackAgreesWithRecomputation) {
  RandomPackets random(1);
  for (int i = 0; i < kPackets; ++i) {
    const bool v4 = random.coin();
    const uint8_t protocol = random.protocol();
    const Socket client = random.socket(v4, protocol), vip = random.socket(v4, protocol);
    const Socket backend = random.socket(v4, protocol);
    const Frame before = random.packet(client, vip);
    Frame frame = before;
    const ParsedPacket packet = parse(frame);
    ASSERT_EQ(packet.result, ParseResult::kFlowPacket);
    const auto delta = ChecksumDelta::between(vip, backend);
    rewrite_destination(frame.data(), packet, backend, delta);
    ASSERT_EQ(wrong_checksums(frame), Wrong());
    ASSERT_EQ(source_of(parse(frame)), client);
    ASSERT_EQ(destination_of(parse(frame)), backend);
    rewrite_destination(frame.data(), packet, vip, delta.reversed());
    ASSERT_EQ(frame, before);
  }
}

TEST(Rewrite, SourceAndBackAgreesWithRecomputation) {
  RandomPackets random(2);
  for (int i = 0; i < kPackets; ++i) {
    const bool v4 = random.coin();
    const uint8_t protocol = random.protocol();
    const Socket client = random.socket(v4, protocol), vip = random.socket(v4, protocol);
    const Socket backend = random.socket(v4, protocol);
    const Frame before = random.packet(backend, client);
    Frame frame = before;
    const ParsedPacket packet = parse(frame);
    const auto delta = ChecksumDelta::between(backend, vip);
    rewrite_source(frame.data(), packet, vip, delta);
    ASSERT_EQ(wrong_checksums(frame), Wrong());
    ASSERT_EQ(source_of(parse(frame)), vip);
    ASSERT_EQ(destination_of(parse(frame)), client);
    rewrite_source(frame.data(), packet, backend, delta.reversed());
    ASSERT_EQ(frame, before);
  }
}

TEST(Rewrite, TouchesAddressPortAndChecksumsOnly) {
  Frame frame = PacketBuilder().ipv4("198.18.1.101", "198.18.0.10").tcp(40000, 80).payload("hello").build();
  const Frame before = frame;
  const Socket vip = socket("198.18.0.10:80"), backend = socket("10.99.77.55:8181");
  rewrite_destination(frame.data(), parse(frame), backend, ChecksumDelta::between(vip, backend));
  for (size_t at = 0; at < frame.size(); ++at) {
    const bool written =
        (at >= 24 && at < 26) || (at >= 30 && at < 34) || (at >= 36 && at < 38) || (at >= 50 && at < 52);
    EXPECT_EQ(frame[at] != before[at], written) << at;
  }
}

TEST(Rewrite, BrokenChecksumsLeaveBrokenByTheSameAmount) {
  RandomPackets random(3);
  for (int i = 0; i < kPackets / 10; ++i) {
    const bool v4 = random.coin();
    const uint8_t protocol = random.protocol();
    const Socket client = random.socket(v4, protocol), vip = random.socket(v4, protocol);
    const Socket backend = random.socket(v4, protocol);
    Frame frame = random.packet(client, vip);
    const ParsedPacket packet = parse(frame);
    const size_t at = packet.l4_offset + (protocol == kProtocolTcp ? 16u : 6u);
    const bool none = protocol == kProtocolUdp && frame[at] == 0 && frame[at + 1] == 0;
    if (none) continue;

    // The error stays the same: the right checksum minus the broken one, modulo 0xffff.
    const auto checksum = [&](const Frame& f) { return f[at] * 256u + f[at + 1]; };
    Frame broken = frame;
    const uint32_t error = 1 + random.below(0xfffe);
    const uint32_t wrong = (checksum(frame) + error) % 0xffff;
    if (wrong == 0) continue;  // means "none" for UDP
    broken[at] = static_cast<uint8_t>(wrong >> 8);
    broken[at + 1] = static_cast<uint8_t>(wrong);
    const auto delta = ChecksumDelta::between(vip, backend);
    rewrite_destination(frame.data(), packet, backend, delta);
    rewrite_destination(broken.data(), packet, backend, delta);
    ASSERT_EQ((checksum(broken) + 0xffffu - checksum(frame) % 0xffff) % 0xffff, error);
    ASSERT_EQ(wrong_checksums(broken), Wrong{protocol == kProtocolTcp ? "tcp" : "udp"});
  }
}

TEST(Rewrite, BrokenIpv4HeaderChecksumLeavesBroken) {
  Frame frame =
      PacketBuilder().ipv4("198.18.1.101", "198.18.0.10").tcp(40000, 80).wrong_checksum(Layer::kIp).build();
  const Socket vip = socket("198.18.0.10:80"), backend = socket("198.18.2.11:8080");
  rewrite_destination(frame.data(), parse(frame), backend, ChecksumDelta::between(vip, backend));
  EXPECT_EQ(wrong_checksums(frame), Wrong{"ip"});
  decrement_ttl(frame.data(), parse(frame));
  EXPECT_EQ(wrong_checksums(frame), Wrong{"ip"});
}

TEST(Rewrite, UdpWithoutChecksumGetsNone) {
  const std::pair<const char*, const char*> kCases[] = {{"198.18.0.10:5300", "198.18.2.11:5300"},
                                                        {"[fd18::10]:5300", "[fd18:2::11]:5300"}};
  for (const auto& [vip_text, backend_text] : kCases) {
    const Socket vip = socket(vip_text, kProtocolUdp), backend = socket(backend_text, kProtocolUdp);
    const Socket client =
        socket(vip.address.is_v4() ? "198.18.1.101:40000" : "[fd18:1::101]:40000", kProtocolUdp);
    Frame frame = PacketBuilder()
                      .ip(client.address, vip.address)
                      .udp(40000, 5300)
                      .no_udp_checksum()
                      .payload("x")
                      .build();
    const ParsedPacket packet = parse(frame);
    rewrite_destination(frame.data(), packet, backend, ChecksumDelta::between(vip, backend));
    EXPECT_EQ(frame[packet.l4_offset + 6u], 0);
    EXPECT_EQ(frame[packet.l4_offset + 7u], 0);
    EXPECT_EQ(destination_of(parse(frame)), backend);
  }
}

// The test tries every backend port. One of the ports makes the checksum 0, which is sent as 0xffff.
TEST(Rewrite, UdpChecksumsNeverBecomeNone) {
  const Socket vip = socket("198.18.0.10:5300", kProtocolUdp);
  const Frame before =
      PacketBuilder().ipv4("198.18.1.101", "198.18.0.10").udp(40000, 5300).payload("x").build();
  const ParsedPacket packet = parse(before);
  int all_ones = 0;
  for (uint32_t port = 0; port <= 0xffff; ++port) {
    Socket backend = socket("198.18.2.11:1", kProtocolUdp);
    backend.port = Be16::from_host(static_cast<uint16_t>(port));
    Frame frame = before;
    const auto delta = ChecksumDelta::between(vip, backend);
    rewrite_destination(frame.data(), packet, backend, delta);
    ASSERT_EQ(wrong_checksums(frame), Wrong());
    const uint32_t checksum = frame[packet.l4_offset + 6u] * 256u + frame[packet.l4_offset + 7u];
    ASSERT_NE(checksum, 0u);
    all_ones += checksum == 0xffff;
    rewrite_destination(frame.data(), packet, vip, delta.reversed());
    ASSERT_EQ(frame, before);
  }
  EXPECT_GE(all_ones, 1);
}

TEST(Rewrite, IcmpToBackendAgreesWithRecomputation) {
  RandomPackets random(4);
  for (int i = 0; i < kPackets; ++i) {
    const bool v4 = random.coin();
    const uint8_t protocol = random.protocol();
    const Socket client = random.socket(v4, protocol), vip = random.socket(v4, protocol);
    const Socket backend = random.socket(v4, protocol);
    const IpAddress sender = random.coin() ? client.address : random.address(v4);
    const Frame before = random.icmp_error(sender, vip.address, vip, client);
    Frame frame = before;
    const ParsedPacket packet = parse(frame);
    ASSERT_EQ(packet.result, ParseResult::kIcmpError);
    rewrite_icmp_to_backend(frame.data(), packet, vip, backend);
    ASSERT_EQ(wrong_checksums(frame), Wrong());
    const ParsedPacket after = parse(frame);
    ASSERT_EQ(source_of(after), backend);
    ASSERT_EQ(destination_of(after), client);
    const uint8_t* outer = frame.data() + 14;
    ASSERT_EQ(v4 ? IpAddress::from_v4(outer + 12) : IpAddress::from_v6(outer + 8), sender);
    ASSERT_EQ(v4 ? IpAddress::from_v4(outer + 16) : IpAddress::from_v6(outer + 24), backend.address);
    rewrite_icmp_to_backend(frame.data(), packet, backend, vip);
    ASSERT_EQ(frame, before);
  }
}

TEST(Rewrite, IcmpToClientAgreesWithRecomputation) {
  RandomPackets random(5);
  for (int i = 0; i < kPackets; ++i) {
    const bool v4 = random.coin();
    const uint8_t protocol = random.protocol();
    const Socket client = random.socket(v4, protocol), vip = random.socket(v4, protocol);
    const Socket backend = random.socket(v4, protocol);
    const IpAddress sender = random.coin() ? backend.address : random.address(v4);
    const Frame before = random.icmp_error(sender, client.address, client, backend);
    Frame frame = before;
    const ParsedPacket packet = parse(frame);
    ASSERT_EQ(packet.result, ParseResult::kIcmpError);
    rewrite_icmp_to_client(frame.data(), packet, vip, backend);
    ASSERT_EQ(wrong_checksums(frame), Wrong());
    const ParsedPacket after = parse(frame);
    ASSERT_EQ(source_of(after), client);
    ASSERT_EQ(destination_of(after), vip);
    const uint8_t* outer = frame.data() + 14;
    ASSERT_EQ(v4 ? IpAddress::from_v4(outer + 12) : IpAddress::from_v6(outer + 8),
              sender == backend.address ? vip.address : sender);
    ASSERT_EQ(v4 ? IpAddress::from_v4(outer + 16) : IpAddress::from_v6(outer + 24), client.address);
    if (vip.address == sender) continue;  // the inverse rewrite cannot distinguish the two
    rewrite_icmp_to_client(frame.data(), packet, backend, vip);
    ASSERT_EQ(frame, before);
  }
}

// The quote ends just before, inside, and just after each checksum field.
TEST(Rewrite, QuotedChecksumsAreUpdatedOnlyIfQuoted) {
  for (const uint8_t protocol : {kProtocolTcp, kProtocolUdp}) {
    const size_t checksum_at = protocol == kProtocolTcp ? 16 : 6;
    const Socket vip = socket("198.18.0.10:80", protocol), backend = socket("198.18.2.11:8080", protocol);
    const Socket client = socket("198.18.1.101:40000", protocol);
    PacketBuilder builder = PacketBuilder().ip(vip.address, client.address);
    const Frame reply = (protocol == kProtocolTcp ? builder.tcp(80, 40000) : builder.udp(80, 40000)).build();
    for (size_t quoted = 4; quoted <= (protocol == kProtocolTcp ? 20u : 8u); ++quoted) {
      Frame frame =
          PacketBuilder().ip(client.address, vip.address).icmp_unreachable(reply, 20 + quoted).build();
      const Frame before = frame;
      const ParsedPacket packet = parse(frame);
      ASSERT_EQ(packet.quoted_l4_bytes, quoted);
      rewrite_icmp_to_backend(frame.data(), packet, vip, backend);
      EXPECT_EQ(wrong_checksums(frame), Wrong());
      for (size_t at = 4; at < quoted; ++at) {
        const bool written = quoted >= checksum_at + 2 && (at == checksum_at || at == checksum_at + 1);
        if (!written) {
          EXPECT_EQ(frame[packet.quoted_l4_offset + at], before[packet.quoted_l4_offset + at]) << at;
        }
      }
    }
  }
}

TEST(Rewrite, BrokenIcmpAndQuotedChecksumsLeaveBroken) {
  const Socket vip = socket("198.18.0.10:80"), backend = socket("198.18.2.11:8080");
  const Frame reply = PacketBuilder()
                          .ipv4("198.18.0.10", "198.18.1.101")
                          .tcp(80, 40000)
                          .wrong_checksum(Layer::kIp)
                          .wrong_checksum(Layer::kTransport)
                          .build();
  Frame frame = PacketBuilder()
                    .ipv4("198.18.1.1", "198.18.0.10")
                    .icmp_unreachable(reply)
                    .wrong_checksum(Layer::kTransport)
                    .build();
  const Wrong expected = {"icmp", "quoted ip", "quoted tcp"};
  ASSERT_EQ(wrong_checksums(frame), expected);
  rewrite_icmp_to_backend(frame.data(), parse(frame), vip, backend);
  EXPECT_EQ(wrong_checksums(frame), expected);
}

TEST(Rewrite, TtlGoesDownToOne) {
  for (const bool v4 : {true, false}) {
    Frame frame = PacketBuilder()
                      .ip(*IpAddress::parse(v4 ? "198.18.1.101" : "fd18:1::101"),
                          *IpAddress::parse(v4 ? "198.18.0.10" : "fd18::10"))
                      .ttl(255)
                      .tcp(40000, 80)
                      .build();
    const size_t at = v4 ? 14 + 8 : 14 + 7;
    for (int ttl = 254; ttl >= 1; --ttl) {
      decrement_ttl(frame.data(), parse(frame));
      ASSERT_EQ(frame[at], ttl);
      ASSERT_EQ(wrong_checksums(frame), Wrong());
    }
  }
}

TEST(Rewrite, TtlOfRandomPacketsAgreesWithRecomputation) {
  RandomPackets random(6);
  for (int i = 0; i < kPackets; ++i) {
    const bool v4 = random.coin();
    Frame frame = random.packet(random.socket(v4, kProtocolUdp), random.socket(v4, kProtocolUdp));
    const size_t at = v4 ? 14 + 8 : 14 + 7;
    const uint8_t before = frame[at];
    if (before <= 1) continue;
    decrement_ttl(frame.data(), parse(frame));
    ASSERT_EQ(frame[at], before - 1);
    ASSERT_EQ(wrong_checksums(frame), Wrong());
  }
}

TEST(Rewrite, EthernetAddressesAreDestinationThenSource) {
  Frame frame = PacketBuilder().ipv4("198.18.1.101", "198.18.0.10").tcp(1, 2).build();
  Frame expected = frame;
  const MacAddress destination{{2, 0, 0, 0, 1, 1}}, source{{2, 0, 0, 0, 2, 2}};
  std::copy_n(destination.bytes, 6, expected.begin());
  std::copy_n(source.bytes, 6, expected.begin() + 6);
  write_ethernet_addresses(frame.data(), destination.word(), source.word());
  EXPECT_EQ(frame, expected);
}

}  // namespace
}  // namespace teal
