// SPDX-License-Identifier: Apache-2.0
//
// The other tests rely on the builder and the plain checksums, so these tests compare both with frames made
// by scapy 2.5.
#include "tests/support/packet_builder.h"

#include <gtest/gtest.h>

#include <string>

namespace teal::test {
namespace {

using Wrong = std::vector<std::string>;

std::string hex(const Frame& frame) {
  std::string text;
  for (const uint8_t byte : frame) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

PacketBuilder tcp4() {
  return PacketBuilder()
      .ipv4("198.18.1.101", "198.18.0.10")
      .tcp(40000, 80, 0x18)
      .seq(0x01020304)
      .ack(0x0a0b0c0d)
      .tcp_options({2, 4, 0x05, 0xb4})
      .payload("hello");
}

PacketBuilder udp6() {
  return PacketBuilder().ipv6("fd18:1::101", "fd18::10").hop_by_hop().udp(40001, 5300).payload("odd");
}

TEST(PacketBuilder, AgreesWithScapy) {
  EXPECT_EQ(
      hex(tcp4().build()),
      "020000000002020000000001080045000031000100004006ed32c6120165c612000a9c400050010203040a0b0c0d6018ffff"
      "0ff70000020405b468656c6c6f");
  EXPECT_EQ(
      hex(udp6().build()),
      "02000000000202000000000186dd6000000000130040fd180001000000000000000000000101fd1800000000000000000000"
      "0000001011000104000000009c4114b4000b803a6f6464");
  EXPECT_EQ(
      hex(PacketBuilder().ipv4("198.18.1.1", "198.18.1.101").icmp_unreachable(tcp4().build(), 28).build()),
      "020000000002020000000001080045000038000100004001ec39c6120101c612016503035c6600000000450000310001000040"
      "06"
      "ed32c6120165c612000a9c40005001020304");
  EXPECT_EQ(hex(PacketBuilder().ipv6("fd18:1::1", "fd18:1::101").icmp_unreachable(udp6().build()).build()),
            "02000000000202000000000186dd6000000000433a40fd180001000000000000000000000001fd180001000000000000"
            "0000000001"
            "010104910d000000006000000000130040fd180001000000000000000000000101fd1800000000000000000000000000"
            "1011000104"
            "000000009c4114b4000b803a6f6464");
}

TEST(PacketBuilder, AllChecksumsAreRight) {
  for (const PacketBuilder& builder :
       {tcp4(), udp6(), tcp4().ipv4_options({7, 3, 4}), tcp4().vlan(7), tcp4().pad_to(100),
        udp6().routing().destination_options({1, 0}).fragment(0, false),
        PacketBuilder().ipv4("198.18.1.101", "198.18.0.10").udp(1, 2).payload_bytes(33),
        PacketBuilder().ipv4("198.18.1.101", "198.18.0.10").icmp(8, 0, 1).payload_bytes(33),
        PacketBuilder().ipv6("fd18:1::1", "fd18:1::101").icmp_unreachable(tcp4().build())})
    EXPECT_EQ(wrong_checksums(builder.build()), Wrong());
}

TEST(PacketBuilder, BreaksTheChecksumItIsAskedToBreak) {
  EXPECT_EQ(wrong_checksums(tcp4().wrong_checksum(Layer::kIp).build()), Wrong{"ip"});
  EXPECT_EQ(wrong_checksums(tcp4().wrong_checksum(Layer::kTransport).build()), Wrong{"tcp"});
  EXPECT_EQ(wrong_checksums(udp6().wrong_checksum(Layer::kTransport).build()), Wrong{"udp"});
  const Frame both = tcp4().wrong_checksum(Layer::kIp).wrong_checksum(Layer::kTransport).build();
  EXPECT_EQ(wrong_checksums(PacketBuilder().ipv4("198.18.1.1", "198.18.0.10").icmp_unreachable(both).build()),
            (Wrong{"quoted ip", "quoted tcp"}));
}

TEST(PacketBuilder, PokedFieldsHaveRightChecksums) {
  const Frame frame = tcp4().poke(Layer::kIp, 1, {0xb8}).poke(Layer::kTransport, 13, {0x02}).build();
  EXPECT_EQ(frame[15], 0xb8);
  EXPECT_EQ(frame[14 + 20 + 13], 0x02);
  EXPECT_EQ(wrong_checksums(frame), Wrong());
}

TEST(WrongChecksums, NoticesEveryFlippedBitOfACoveredByte) {
  const Frame frame = tcp4().build();
  for (size_t at = 14; at < frame.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Frame changed = frame;
      changed[at] ^= static_cast<uint8_t>(1 << bit);
      // A frame with another version, or a fragment, has no checksum that can be checked.
      if (at == 14 || at == 16 || at == 17 || at == 20 || at == 21 || at == 23) continue;
      EXPECT_FALSE(checksums_are_right(changed)) << at << "." << bit;
    }
  }
}

TEST(WrongChecksums, UdpOverIpv4MayHaveNone) {
  auto udp = [](const char* from, const char* to) {
    return PacketBuilder()
        .ip(*IpAddress::parse(from), *IpAddress::parse(to))
        .udp(1, 2)
        .no_udp_checksum()
        .build();
  };
  EXPECT_EQ(wrong_checksums(udp("198.18.1.101", "198.18.0.10")), Wrong());
  EXPECT_EQ(wrong_checksums(udp("fd18:1::101", "fd18::10")), Wrong{"udp"});
}

}  // namespace
}  // namespace teal::test
