// SPDX-License-Identifier: Apache-2.0
//
// The tests parse the segments that Teal builds and recompute their checksums
// (tests/support/plain_checksum.h), on random numbers and random packets.
#include "dataplane/packet/tcp_segment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/packet_builder.h"
#include "tests/support/parsed_frame.h"

namespace teal {
namespace {

using test::Frame;
using test::Layer;
using test::PacketBuilder;
using test::parse;
using test::wrong_checksums;

constexpr int kRounds = 5'000;
constexpr uint8_t kUntouched = 0xee;

Be32 number_at(const Frame& frame, size_t offset) {
  Be32 number;
  std::memcpy(&number.raw, frame.data() + offset, 4);
  return number;
}

class TcpSegmentTest : public testing::TestWithParam<int> {
 protected:
  bool v4() const { return GetParam() == 4; }
  size_t ip_bytes() const { return v4() ? 20 : 40; }
  size_t frame_bytes() const { return 14 + ip_bytes() + 20; }

  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }
  Socket socket() {
    uint8_t bytes[16];
    for (auto& byte : bytes) byte = below(3) == 0 ? 0xff : static_cast<uint8_t>(random_());
    bytes[0] = 0xfd;  // so that no IPv6 address is IPv4-mapped
    return {v4() ? IpAddress::from_v4(bytes + 8) : IpAddress::from_v6(bytes),
            Be16::from_host(static_cast<uint16_t>(random_())), kProtocolTcp};
  }
  TcpSegment segment() {
    return {.source = socket(),
            .destination = socket(),
            .sequence = {static_cast<uint32_t>(random_())},
            .acknowledgement = {static_cast<uint32_t>(random_())},
            .flags = static_cast<uint8_t>(below(64))};
  }
  // Returns a random TCP packet that parse() accepts as kFlowPacket, with the ACK flag if `ack` has it.
  Frame packet(uint8_t ack = kTcpAck) {
    const Socket source = socket(), destination = socket();
    PacketBuilder builder;
    builder.ip(source.address, destination.address).ttl(static_cast<uint8_t>(1 + below(255)));
    if (v4() && below(4) == 0) builder.ipv4_options({1, 1, 1, 7, 7, 4, 0, 0, 0, 0});
    if (!v4() && below(4) == 0) builder.hop_by_hop();
    builder
        .tcp(source.port.host(), destination.port.host(),
             static_cast<uint8_t>(ack | (below(64) & ~(kTcpRst | kTcpAck))))
        .seq(static_cast<uint32_t>(random_()))
        .ack(static_cast<uint32_t>(random_()));
    if (below(2) == 0) builder.tcp_options({8, 10, 1, 2, 3, 4, 5, 6, 7, 8});
    if (below(2) == 0) builder.payload_bytes(below(1'400));
    if (below(8) == 0) builder.wrong_checksum(Layer::kTransport);
    return builder.pad_to(below(2) * 60).build();
  }

 private:
  std::mt19937_64 random_{static_cast<uint64_t>(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(Ip, TcpSegmentTest, testing::Values(4, 6),
                         [](const auto& info) { return "v" + std::to_string(info.param); });

TEST_P(TcpSegmentTest, ParsesAsWrittenWithRightChecksums) {
  for (int round = 0; round < kRounds; ++round) {
    const TcpSegment wanted = segment();
    Frame frame(100, kUntouched);
    ASSERT_EQ(write_tcp_segment(frame.data(), wanted), frame_bytes());
    ASSERT_EQ(std::count(frame.begin(), frame.begin() + 12, kUntouched), 12) << "the Ethernet addresses";
    ASSERT_EQ(std::count(frame.begin() + static_cast<long>(frame_bytes()), frame.end(), kUntouched),
              100 - static_cast<long>(frame_bytes()));
    frame.resize(frame_bytes());
    const ParsedPacket packet = parse(frame);
    ASSERT_EQ(packet.result, ParseResult::kFlowPacket);
    ASSERT_EQ(packet.is_v4, v4());
    ASSERT_EQ(packet.ttl, 64);
    ASSERT_EQ((Socket{packet.source, packet.source_port, packet.protocol}), wanted.source);
    ASSERT_EQ((Socket{packet.destination, packet.destination_port, packet.protocol}), wanted.destination);
    ASSERT_EQ(packet.tcp_flags, wanted.flags);
    ASSERT_EQ(packet.payload_bytes, 0);
    ASSERT_EQ(packet.l4_offset, 14 + ip_bytes());
    ASSERT_EQ(number_at(frame, packet.l4_offset + 4u), wanted.sequence);
    ASSERT_EQ(number_at(frame, packet.l4_offset + 8u), wanted.acknowledgement);
    ASSERT_EQ(wrong_checksums(frame), std::vector<std::string>{});
  }
}

TEST_P(TcpSegmentTest, RstToTheSenderHasItsAcknowledgementNumber) {
  for (int round = 0; round < kRounds; ++round) {
    const Frame before = packet();
    const ParsedPacket asked = parse(before);
    ASSERT_EQ(asked.result, ParseResult::kFlowPacket);
    Frame frame = before;
    const uint32_t bytes = turn_into_rst(frame.data(), asked);
    ASSERT_EQ(bytes, frame_bytes());
    ASSERT_LE(bytes, before.size());
    ASSERT_TRUE(std::equal(before.begin() + bytes, before.end(), frame.begin() + bytes));
    ASSERT_TRUE(std::equal(before.begin(), before.begin() + 12, frame.begin())) << "the Ethernet addresses";
    frame.resize(bytes);
    const ParsedPacket rst = parse(frame);
    ASSERT_EQ(rst.result, ParseResult::kFlowPacket);
    ASSERT_EQ(rst.tcp_flags, kTcpRst);
    ASSERT_EQ(rst.payload_bytes, 0);
    ASSERT_EQ(rst.source, asked.destination);
    ASSERT_EQ(rst.source_port, asked.destination_port);
    ASSERT_EQ(rst.destination, asked.source);
    ASSERT_EQ(rst.destination_port, asked.source_port);
    ASSERT_EQ(number_at(frame, rst.l4_offset + 4u), number_at(before, asked.l4_offset + 8u));
    ASSERT_EQ(number_at(frame, rst.l4_offset + 8u), Be32{});
    ASSERT_EQ(wrong_checksums(frame), std::vector<std::string>{});
  }
}

// RFC 9293, 3.10.7.1. A closed port acknowledges SYN, data and FIN.
TEST_P(TcpSegmentTest, RefusalOfASegmentWithoutAckAcknowledgesTheSegment) {
  for (int round = 0; round < kRounds; ++round) {
    const Frame before = packet(0);
    const ParsedPacket asked = parse(before);
    ASSERT_EQ(asked.result, ParseResult::kFlowPacket);
    ASSERT_EQ(asked.tcp_flags & (kTcpAck | kTcpRst), 0);
    Frame frame = before;
    ASSERT_EQ(turn_into_refusal(frame.data(), asked), frame_bytes());
    frame.resize(frame_bytes());
    const ParsedPacket rst = parse(frame);
    ASSERT_EQ(rst.tcp_flags, kTcpRst | kTcpAck);
    ASSERT_EQ(rst.source, asked.destination);
    ASSERT_EQ(rst.destination_port, asked.source_port);
    ASSERT_EQ(number_at(frame, rst.l4_offset + 4u), Be32{});
    uint32_t end = number_at(before, asked.l4_offset + 4u).host() + asked.payload_bytes;
    if (asked.tcp_flags & kTcpSyn) ++end;
    if (asked.tcp_flags & kTcpFin) ++end;
    ASSERT_EQ(number_at(frame, rst.l4_offset + 8u).host(), end);
    ASSERT_EQ(wrong_checksums(frame), std::vector<std::string>{});
  }
}

TEST_P(TcpSegmentTest, RefusalOfASegmentWithAckIsItsRst) {
  for (int round = 0; round < kRounds; ++round) {
    Frame refused = packet(), reset = refused;
    ASSERT_EQ(turn_into_refusal(refused.data(), parse(refused)), turn_into_rst(reset.data(), parse(reset)));
    ASSERT_EQ(refused, reset);
  }
}

TEST_P(TcpSegmentTest, Ipv4IsNotFragmentedAndNeedsNoIdentification) {
  if (!v4()) return;
  Frame frame(kTcpSegmentBytes);
  write_tcp_segment(frame.data(), segment());
  EXPECT_EQ(frame[14 + 6], 0x40);
  EXPECT_EQ(frame[14 + 7], 0);
}

}  // namespace
}  // namespace teal
