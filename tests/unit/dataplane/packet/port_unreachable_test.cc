// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/port_unreachable.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/packet_builder.h"
#include "tests/support/parsed_frame.h"

namespace teal {
namespace {

using test::Frame;
using test::Layer;
using test::PacketBuilder;
using test::wrong_checksums;

// Random UDP packets of all lengths, with options, extension headers and Ethernet padding.
TEST(PortUnreachable, QuotesThePacketAsItCameWithRightChecksums) {
  std::mt19937_64 random(4);
  const auto below = [&](uint32_t bound) { return static_cast<uint32_t>(random() % bound); };
  uint32_t cut = 0;
  for (int round = 0; round < 5'000; ++round) {
    const bool v4 = below(2) == 0;
    PacketBuilder builder;
    v4 ? builder.ipv4("198.18.1.101", "198.18.0.10") : builder.ipv6("fd18:1::101", "fd18::10");
    if (v4 && below(4) == 0) builder.ipv4_options({1, 1, 1, 7, 7, 4, 0, 0, 0, 0});
    if (!v4 && below(4) == 0) builder.hop_by_hop();
    builder.udp(static_cast<uint16_t>(random()), 5300);
    if (below(4) != 0) builder.payload_bytes(below(below(2) == 0 ? 1'450 : 30));
    if (below(8) == 0) builder.wrong_checksum(Layer::kTransport);
    const Frame asked = builder.pad_to(60).build();

    Frame frame = asked;
    frame.resize(asked.size() + kPortUnreachableGrowth);
    const uint32_t bytes = turn_into_port_unreachable(frame.data(), test::parse(asked));
    ASSERT_LE(bytes, frame.size());
    frame.resize(bytes);
    const size_t longest = v4 ? 576 - 28 : 1280 - 48;
    const Frame expected = PacketBuilder()
                               .eth(test::kEdgeMac, test::kClientMac)
                               .ip(test::parse(asked).destination, test::parse(asked).source)
                               .icmp_unreachable(asked, longest)
                               .build();
    ASSERT_EQ(frame.size(), expected.size());
    const long icmp = v4 ? 34 : 54;
    ASSERT_TRUE(std::equal(frame.begin() + icmp, frame.end(), expected.begin() + icmp));
    ASSERT_EQ(test::parse(frame).result, ParseResult::kIcmpError);
    for (const std::string& wrong : wrong_checksums(frame))
      ASSERT_EQ(wrong, "quoted udp") << "a packet that came broken is quoted as it is";
    cut += frame.size() == 14 + (v4 ? 576u : 1280u);
  }
  EXPECT_GT(cut, 100u) << "long packets are quoted in part";
}

}  // namespace
}  // namespace teal
