// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/ip_address.h"

#include <gtest/gtest.h>

#include <string>

namespace teal {
namespace {

using namespace std::string_literals;

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

TEST(IpAddress, Ipv4IsMappedIpv6) {
  const uint8_t wire[4] = {198, 18, 0, 10};
  const IpAddress address = IpAddress::from_v4(wire);
  EXPECT_TRUE(address.is_v4());
  EXPECT_EQ(address, ip("::ffff:198.18.0.10"));
  EXPECT_EQ(address, ip("198.18.0.10"));
  EXPECT_EQ(std::memcmp(address.v4_bytes(), wire, 4), 0);
  EXPECT_FALSE(ip("fd18::10").is_v4());
  EXPECT_FALSE(ip("::").is_v4());
  EXPECT_FALSE(ip("::198.18.0.10").is_v4());  // "compatible", not mapped
}

TEST(IpAddress, TextRoundTrips) {
  for (const char* text : {"198.18.0.10", "0.0.0.0", "255.255.255.255", "fd18::10", "::", "::1",
                           "fd18:1:2:3:4:5:6:7", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
    EXPECT_EQ(ip(text).to_string(), text);
}

TEST(IpAddress, RefusesTextThatIsNotAnAddress) {
  for (const std::string& text :
       {""s, "198.18.0"s, "198.18.0.256"s, "198.18.0.10 "s, " 198.18.0.10"s, "198.18.0.010"s,
        "198.18.0.10:80"s, "198.18.0.10/32"s, "fd18:::10"s, "fd18::10::1"s, "fd18::10%eth0"s, "[fd18::10]"s,
        "fd18"s, "localhost"s, "198.18.0.10\0"s, "198.18.0.10\0.1"s, std::string(300, '1'),
        std::string(46, ':')})
    EXPECT_FALSE(IpAddress::parse(text).has_value()) << text;
}

TEST(IpAddress, EqualityComparesEveryByte) {
  const IpAddress address = ip("fd18:1:2:3:4:5:6:7");
  for (int i = 0; i < 16; ++i) {
    IpAddress other = address;
    other.bytes[i] ^= 1;
    EXPECT_NE(address, other) << i;
  }
}

TEST(SamePrefix, AgreesWithAComparisonBitByBit) {
  const IpAddress a = ip("fd18:1:2:3:4:5:6:7");
  for (unsigned differing = 0; differing < 128; ++differing) {
    IpAddress b = a;
    b.bytes[differing / 8] ^= static_cast<uint8_t>(0x80 >> differing % 8);
    for (unsigned bits = 0; bits <= 128; ++bits)
      EXPECT_EQ(same_prefix(a, b, bits), bits <= differing) << differing << " " << bits;
  }
}

TEST(SamePrefix, CountsIpv4From96) {
  EXPECT_TRUE(same_prefix(ip("198.18.2.11"), ip("198.18.2.200"), 96 + 24));
  EXPECT_FALSE(same_prefix(ip("198.18.2.11"), ip("198.18.3.11"), 96 + 24));
  EXPECT_FALSE(same_prefix(ip("198.18.2.11"), ip("fd18::1"), 96));
  EXPECT_TRUE(same_prefix(ip("198.18.2.11"), ip("10.0.0.1"), 96));
}

TEST(SamePrefix, MoreThanAllBitsIsAllBits) {
  EXPECT_TRUE(same_prefix(ip("fd18::1"), ip("fd18::1"), 1000));
  EXPECT_FALSE(same_prefix(ip("fd18::1"), ip("fd18::2"), 1000));
}

TEST(Socket, TextRoundTrips) {
  for (const char* text :
       {"198.18.0.10:80", "0.0.0.0:1", "198.18.0.10:65535", "[fd18::10]:80", "[::]:5300"}) {
    const auto socket = parse_socket(text);
    ASSERT_TRUE(socket.has_value()) << text;
    EXPECT_EQ(to_string(*socket), text);
    EXPECT_EQ(socket->protocol, 0);
  }
  EXPECT_EQ(parse_socket("198.18.0.10:80")->port.host(), 80);
}

TEST(Socket, RefusesTextThatIsNotASocket) {
  for (const std::string& text : {""s,
                                  ":"s,
                                  ":80"s,
                                  "198.18.0.10"s,
                                  "198.18.0.10:"s,
                                  "198.18.0.10:0"s,
                                  "198.18.0.10:65536"s,
                                  "198.18.0.10:080"s,
                                  "198.18.0.10:+80"s,
                                  "198.18.0.10:-1"s,
                                  "198.18.0.10:80 "s,
                                  "198.18.0.10: 80"s,
                                  "198.18.0.10:0x50"s,
                                  "198.18.0.10:99999999999"s,
                                  "198.18.0.10:80:90"s,
                                  "[198.18.0.10]:80"s,
                                  "[]:80"s,
                                  "[:80"s,
                                  "]:80"s,
                                  "fd18::10"s,
                                  "fd18::10:80"s,
                                  "[fd18::10]"s,
                                  "[fd18::10]80"s,
                                  "[fd18::10:80"s,
                                  "fd18::10]:80"s,
                                  "[[fd18::10]]:80"s,
                                  "[fd18::10]:"s,
                                  "[fd18::10]:80\0"s,
                                  "web:80"s})
    EXPECT_FALSE(parse_socket(text).has_value()) << text;
}

TEST(Socket, EqualityComparesAddressPortAndProtocol) {
  Socket a = parse_socket("198.18.0.10:80").value();
  a.protocol = kProtocolTcp;
  Socket other_port = a, other_protocol = a, other_address = a;
  other_port.port = Be16::from_host(81);
  other_protocol.protocol = kProtocolUdp;
  other_address.address.bytes[15] ^= 1;
  EXPECT_EQ(a, Socket(a));
  EXPECT_NE(a, other_port);
  EXPECT_NE(a, other_protocol);
  EXPECT_NE(a, other_address);
}

}  // namespace
}  // namespace teal
