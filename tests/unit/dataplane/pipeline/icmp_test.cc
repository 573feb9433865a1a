// SPDX-License-Identifier: Apache-2.0
//
// Promise 15: ICMP and ICMPv6 errors about a flow reach its other end, and their quoted header is rewritten,
// too.
#include "tests/unit/dataplane/worker_fixture.h"

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

class Promise15 : public WorkerTest, public testing::WithParamInterface<uint16_t> {
 protected:
  // An error from `sender` to `receiver` that quotes at most `quoted` bytes of the packet `about`.
  static Frame error(const IpAddress& sender, const IpAddress& receiver, const Frame& about,
                     size_t quoted = 1280) {
    return PacketBuilder().ip(sender, receiver).icmp_unreachable(about, quoted).build();
  }
  IpAddress router(bool near_client) const {
    const bool v4 = ruleset_input.services[GetParam()].vip.address.is_v4();
    if (near_client) return *IpAddress::parse(v4 ? "198.18.1.1" : "fd18:1::1");
    return *IpAddress::parse(v4 ? "198.18.2.1" : "fd18:2::1");
  }
  // From then on no flow gets an entry. The table has one bucket.
  void use_up_quota() {
    for (uint32_t i = 0; i < embryonic_quota(); ++i) send_from_client(client(GetParam(), i), kSyn);
  }
  const Socket& vip() const { return ruleset_input.services[GetParam()].vip; }
};
INSTANTIATE_TEST_SUITE_P(Services, Promise15, testing::Values(kWeb, kWeb6, kEcho, kEcho6),
                         service_param_name);

TEST_P(Promise15, ErrorOfTheClientsSideReachesTheBackend) {
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
      EXPECT_EQ(outer_address(sent.frame, false), ruleset_input.backends[backend].socket.address.to_string());
      EXPECT_EQ(quote_of(sent.frame).result, ParseResult::kIcmpError);
      EXPECT_EQ(quote_of(sent.frame).from, to_string(ruleset_input.backends[backend].socket));
      EXPECT_EQ(quote_of(sent.frame).to, to_string(Socket{who.address, Be16::from_host(who.port), 0}));
      EXPECT_EQ(wrong_checksums(sent.frame), std::vector<std::string>{});
    }
  }
  EXPECT_EQ(count(Event::k_icmp_errors), 4u);
}

TEST_P(Promise15, ErrorOfTheBackendsSideReachesTheClient) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = open_flow(who);
  const Frame request = pass(kFront, from_client(who, kAck, "hello")).frame;
  const IpAddress own = ruleset_input.backends[backend].socket.address;
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

TEST_P(Promise15, AnErrorChangesNoState) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = send_from_client(who, kSyn);
  const auto before = flow_of(who)->state;
  const Frame request = pass(kFront, from_client(who, kSyn)).frame;
  pass(kBack, error(ruleset_input.backends[backend].socket.address, who.address, request));
  EXPECT_EQ(flow_of(who)->state.phase, before.phase);
  EXPECT_EQ(flow_of(who)->state.last_hop, before.last_hop);
}

TEST_P(Promise15, ErrorToAVipAboutNoFlowIsDropped) {
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

TEST_P(Promise15, ErrorOfTheBackendsSideAboutNoFlowIsPuntedUnchanged) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = GetParam() == kWeb ? 0 : GetParam() == kWeb6 ? 4 : GetParam() == kEcho ? 6 : 10;
  const Socket& socket = ruleset_input.backends[backend].socket;
  PacketBuilder direct;  // a connection that is only routed through
  direct.ip(who.address, socket.address);
  socket.protocol == kProtocolTcp ? direct.tcp(who.port, socket.port.host())
                                  : direct.udp(who.port, socket.port.host());
  EXPECT_TRUE(punts_unchanged(kBack, error(socket.address, who.address, direct.build())));
}

TEST_P(Promise15, ErrorOfTtl1IsPuntedUnchanged) {
  start();
  const Client who = client(GetParam());
  const Frame reply = pass(kBack, from_backend(who, open_flow(who), kAck, "data")).frame;
  const Frame last = PacketBuilder().ip(who.address, vip().address).ttl(1).icmp_unreachable(reply).build();
  EXPECT_TRUE(punts_unchanged(kFront, last));
  EXPECT_EQ(count(Event::k_icmp_errors), 0u);
}

TEST_P(Promise15, ErrorAboutAFlowWithoutAnEntryReachesItsOtherEndToo) {
  start({.flow_capacity = 1, .partitions = 1});
  use_up_quota();
  const Client who = client(GetParam(), 1'000);
  const uint16_t backend = send_from_client(who, kSyn);
  const Frame request = pass(kFront, from_client(who, kAck, "hello")).frame;
  const Frame reply = pass(kBack, from_backend(who, backend, kAck, "too big to pass")).frame;
  ASSERT_FALSE(flow_of(who).has_value());
  const uint64_t stateless = count(Event::k_stateless);

  const Sent to_backend = pass(kFront, error(router(true), vip().address, reply));
  ASSERT_EQ(to_backend.port, kBack);
  EXPECT_EQ(to_backend.destination_mac(), backend_mac(backend));
  EXPECT_EQ(outer_address(to_backend.frame, false),
            ruleset_input.backends[backend].socket.address.to_string());
  EXPECT_EQ(quote_of(to_backend.frame).from, to_string(ruleset_input.backends[backend].socket));
  EXPECT_EQ(wrong_checksums(to_backend.frame), std::vector<std::string>{});

  const Sent to_client =
      pass(kBack, error(ruleset_input.backends[backend].socket.address, who.address, request));
  ASSERT_EQ(to_client.port, kFront);
  EXPECT_EQ(outer_address(to_client.frame, true), vip().address.to_string());
  EXPECT_EQ(quote_of(to_client.frame).to, to_string(vip()));
  EXPECT_EQ(wrong_checksums(to_client.frame), std::vector<std::string>{});

  EXPECT_EQ(count(Event::k_icmp_errors), 2u);
  EXPECT_EQ(count(Event::k_stateless), stateless + 2);
}

TEST_P(Promise15, ErrorAboutAFlowWithoutAnEntryFollowsAFlipAsItsPacketsDo) {
  start({.flow_capacity = 1, .partitions = 1});
  use_up_quota();
  flip({GetParam()}, Colour::kGreen);
  const Client who = client(GetParam(), 1'000);
  const uint16_t backend = send_from_client(who, kSyn);
  EXPECT_EQ(colour_of(backend), Colour::kGreen);
  const Frame reply = pass(kBack, from_backend(who, backend, kAck, "data")).frame;
  EXPECT_EQ(pass(kFront, error(who.address, vip().address, reply)).destination_mac(), backend_mac(backend));
}

TEST_P(Promise15, ErrorAboutTrafficOfOthersIsPuntedAlthoughAnInsertFailed) {
  start({.flow_capacity = 1, .partitions = 1});
  use_up_quota();
  const Client who = client(GetParam(), 1'000);
  send_from_client(who, kSyn);
  const auto about_direct = [&](const NumberedBackend& backend) {
    PacketBuilder direct;
    direct.ip(who.address, backend.socket.address);
    backend.socket.protocol == kProtocolTcp ? direct.tcp(who.port, backend.socket.port.host())
                                            : direct.udp(who.port, backend.socket.port.host());
    return error(backend.socket.address, who.address, direct.build());
  };
  for (const NumberedBackend& backend : ruleset_input.backends) {
    if (backend.service != GetParam() || backend.id == chosen_backend(who, colour_of(backend.id))) continue;
    EXPECT_TRUE(punts_unchanged(kBack, about_direct(backend))) << "the choice does not name it";
  }
  for (auto& bits : header().on_link_prefix_bits) bits.store(1);  // every address is on every link
  for (const NumberedBackend& backend : ruleset_input.backends) {
    if (backend.service != GetParam()) continue;
    EXPECT_TRUE(punts_unchanged(kBack, about_direct(backend))) << "about a connection of this host";
  }
  const Socket client_end{who.address, Be16::from_host(who.port), vip().protocol};
  PacketBuilder reply;
  reply.ip(vip().address, client_end.address);
  vip().protocol == kProtocolTcp ? reply.tcp(vip().port.host(), who.port)
                                 : reply.udp(vip().port.host(), who.port);
  EXPECT_TRUE(
      drops(DropReason::k_icmp_without_flow, kFront, error(who.address, vip().address, reply.build())))
      << "its packets are refused";
}

TEST_P(Promise15, ErrorAboutADirectConnectionBesideAFlowIsPunted) {
  start();
  const Client who = client(GetParam());
  const uint16_t backend = open_flow(who);
  for (const NumberedBackend& another : ruleset_input.backends) {
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
