// SPDX-License-Identifier: Apache-2.0
//
// Promise 15: ICMP and ICMPv6 errors about a flow reach its other end, the quoted header rewritten too.
#include "tests/unit/dataplane/switch_fixture.h"

namespace teal::test {
namespace {

struct Quote {
  ParseResult result;
  std::string from, to;  // of the quoted packet
};

Quote quote_of(const Frame& frame) {
  const ParsedPacket packet = parse(frame.data(), static_cast<uint32_t>(frame.size()));
  return {packet.result, to_string(Socket{packet.source, packet.source_port, 0}),
          to_string(Socket{packet.destination, packet.destination_port, 0})};
}

std::string outer_address(const Frame& frame, bool source) {
  const uint8_t* l3 = frame.data() + 14;
  if (l3[0] >> 4 == 4) return IpAddress::from_v4(l3 + (source ? 12 : 16)).to_string();
  return IpAddress::from_v6(l3 + (source ? 8 : 24)).to_string();
}

class IcmpTest : public SwitchTest, public testing::WithParamInterface<uint16_t> {
 protected:
  // An error from `sender` to `receiver` about `about`, quoting at most `quoted` bytes of it.
  static Frame error(const IpAddress& sender, const IpAddress& receiver, const Frame& about,
                     size_t quoted = 1280) {
    return PacketBuilder().ip(sender, receiver).icmp_unreachable(about, quoted).build();
  }
  IpAddress router(bool near_client) const {
    const bool v4 = plan.services[GetParam()].vip.address.is_v4();
    if (near_client) return *IpAddress::parse(v4 ? "198.18.1.1" : "fd18:1::1");
    return *IpAddress::parse(v4 ? "198.18.2.1" : "fd18:2::1");
  }
  const Socket& vip() const { return plan.services[GetParam()].vip; }
};
std::string name_of(const testing::TestParamInfo<uint16_t>& service) {
  static constexpr const char* kNames[] = {"Tcp4", "Tcp6", "Udp4", "Udp6"};
  return kNames[service.param];
}
INSTANTIATE_TEST_SUITE_P(Services, IcmpTest, testing::Values(kWeb, kWeb6, kEcho, kEcho6), name_of);

TEST_P(IcmpTest, ErrorOfTheClientsSideReachesTheBackend) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = open_flow(who);
  const Frame reply = pass(kBack, from_backend(who, backend, kAck, "too big to pass")).frame;
  for (const IpAddress& sender : {who.address, router(true)}) {
    for (const size_t quoted : {size_t{1280}, size_t{vip().address.is_v4() ? 28u : 48u}}) {
      const Sent sent = pass(kFront, error(sender, vip().address, reply, quoted));
      ASSERT_EQ(sent.port, kBack);
      EXPECT_EQ(sent.destination_mac(), backend_mac(backend));
      EXPECT_EQ(outer_address(sent.frame, true), sender.to_string());
      EXPECT_EQ(outer_address(sent.frame, false), plan.backends[backend].socket.address.to_string());
      EXPECT_EQ(quote_of(sent.frame).result, ParseResult::kIcmpError);
      EXPECT_EQ(quote_of(sent.frame).from, to_string(plan.backends[backend].socket));
      EXPECT_EQ(quote_of(sent.frame).to, to_string(Socket{who.address, Be16::from_host(who.port), 0}));
      EXPECT_EQ(wrong_checksums(sent.frame), std::vector<std::string>{});
    }
  }
  EXPECT_EQ(count(Event::k_icmp_errors), 4u);
}

TEST_P(IcmpTest, ErrorOfTheBackendsSideReachesTheClient) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = open_flow(who);
  const Frame request = pass(kFront, from_client(who, kAck, "hello")).frame;
  const IpAddress own = plan.backends[backend].socket.address;
  for (const IpAddress& sender : {own, router(false)}) {
    for (const size_t quoted : {size_t{1280}, size_t{vip().address.is_v4() ? 28u : 48u}}) {
      const Sent sent = pass(kBack, error(sender, who.address, request, quoted));
      ASSERT_EQ(sent.port, kFront);
      EXPECT_EQ(sent.destination_mac(), kClientMac);
      EXPECT_EQ(outer_address(sent.frame, true), (sender == own ? vip().address : sender).to_string());
      EXPECT_EQ(outer_address(sent.frame, false), who.address.to_string());
      EXPECT_EQ(quote_of(sent.frame).from, to_string(Socket{who.address, Be16::from_host(who.port), 0}));
      EXPECT_EQ(quote_of(sent.frame).to, to_string(vip()));
      EXPECT_EQ(wrong_checksums(sent.frame), std::vector<std::string>{});
    }
  }
  EXPECT_EQ(count(Event::k_icmp_errors), 4u);
}

TEST_P(IcmpTest, AnErrorChangesNoState) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = send_from_client(who, kSyn);
  const auto before = flow_of(who)->state;
  const Frame request = pass(kFront, from_client(who, kSyn)).frame;
  pass(kBack, error(plan.backends[backend].socket.address, who.address, request));
  EXPECT_EQ(flow_of(who)->state.phase, before.phase);
  EXPECT_EQ(flow_of(who)->state.last_hop, before.last_hop);
}

TEST_P(IcmpTest, ErrorToAVipAboutNoFlowIsDropped) {
  start();
  const Client who = client(GetParam());
  const Frame reply =
      PacketBuilder().ip(vip().address, who.address).tcp(vip().port.host(), who.port, kAck).build();
  const Frame udp_reply =
      PacketBuilder().ip(vip().address, who.address).udp(vip().port.host(), who.port).build();
  const bool tcp = vip().protocol == kProtocolTcp;
  EXPECT_TRUE(drops(DropReason::k_icmp_without_flow, kFront,
                    error(who.address, vip().address, tcp ? reply : udp_reply)));
}

TEST_P(IcmpTest, ErrorOfTheBackendsSideAboutNoFlowIsPuntedUnchanged) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = GetParam() == kWeb ? 0 : GetParam() == kWeb6 ? 4 : GetParam() == kEcho ? 6 : 10;
  const Socket& socket = plan.backends[backend].socket;
  PacketBuilder direct;  // a connection that is merely routed through
  direct.ip(who.address, socket.address);
  socket.protocol == kProtocolTcp ? direct.tcp(who.port, socket.port.host())
                                  : direct.udp(who.port, socket.port.host());
  EXPECT_TRUE(punts_unchanged(kBack, error(socket.address, who.address, direct.build())));
}

TEST_P(IcmpTest, ErrorAboutADirectConnectionBesideAFlowIsPunted) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = open_flow(who);
  for (const NumberedBackend& another : plan.backends) {
    if (another.service != GetParam() || another.id == backend) continue;
    PacketBuilder direct;
    direct.ip(who.address, another.socket.address);
    another.socket.protocol == kProtocolTcp ? direct.tcp(who.port, another.socket.port.host())
                                            : direct.udp(who.port, another.socket.port.host());
    EXPECT_TRUE(punts_unchanged(kBack, error(another.socket.address, who.address, direct.build())));
  }
}

}  // namespace
}  // namespace teal::test
