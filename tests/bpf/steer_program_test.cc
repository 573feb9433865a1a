// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Each check has the form: frame in, verdict out. steer_program.h has the addresses.
#include "tests/bpf/steer_program.h"

namespace teal {
namespace {

using namespace frame;  // so that eth(v4(...)) reads well

using SteerProgramTest = SteerTest;

constexpr char kClient[] = "198.18.1.101";
constexpr char kVip[] = "198.18.0.10";
constexpr char kBackend[] = "198.18.2.11";
constexpr char kClient6[] = "fd18:1::101";
constexpr char kVip6[] = "fd18:0::10";
constexpr char kBackend6[] = "fd18:2::11";

TEST_F(SteerProgramTest, SteersToVips) {
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, tcp(40000, 80)))), "to_vip");
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, udp(40000, 5300)))), "to_vip");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, tcp(40000, 80)))), "to_vip");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, udp(40000, 5300)))), "to_vip");
  EXPECT_EQ(on_backend_side(eth(v4(kBackend, kVip, tcp(40000, 80)))), "to_vip");
}

std::vector<Bytes> frames_for_the_worker() {
  return {eth(v4(kClient, kVip, tcp(40000, 80))), eth(v6(kClient6, kVip6, udp(40000, 5300))),
          eth(v4(kBackend, kClient, tcp(8080, 40000))),
          eth(v4(kClient, kVip, icmp4(3, v4(kVip, kClient, tcp(80, 40000))))),
          eth(v4(kClient, kVip, {IPPROTO_UDP, Bytes(16)}, {.fragment_bytes = 1480}))};
}

TEST_F(SteerProgramTest, FramesForAnotherMacPass) {
  std::vector<Bytes> macs = {{2, 0, 0, 0, 0, 0x77}, {0, 0, 0, 0, 0, 0}};
  for (size_t byte = 0; byte < 6; ++byte) {
    macs.emplace_back(kPortMac, kPortMac + 6);
    macs.back()[byte] ^= 0x10;
  }
  for (const Bytes& mac : macs) backend_->make_known(mac.data());
  for (Bytes in : frames_for_the_worker()) {
    ASSERT_NE(on_backend_side(in), "pass");
    for (const Bytes& mac : macs) {
      std::copy(mac.begin(), mac.end(), in.begin());
      EXPECT_EQ(on_backend_side(in), "pass");
    }
  }
}

TEST_F(SteerProgramTest, BroadcastAndMulticastPassAtOnce) {
  for (const Bytes& in : frames_for_the_worker()) {
    EXPECT_EQ(on_backend_side(to_mac(in, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff})), "pass");
    EXPECT_EQ(on_backend_side(to_mac(in, {1, 0, 0x5e, 0, 0, 10})), "pass");
    EXPECT_EQ(on_backend_side(to_mac(in, {0x33, 0x33, 0, 0, 0, 0x10})), "pass");
  }
}

// The port may have got the address just now.
TEST_F(SteerProgramTest, NewMacGoesToTheWorkerUntilItIsKnown) {
  constexpr uint8_t kNew[] = {2, 0, 0, 0, 0, 0x88};
  for (const Bytes& in : frames_for_the_worker()) {
    for (int time = 0; time < 2; ++time)
      EXPECT_EQ(on_backend_side(to_mac(in, {2, 0, 0, 0, 0, 0x88})), on_backend_side(in));
  }
  EXPECT_EQ(on_backend_side(to_mac(eth(v4(kClient, kVip, tcp(40000, 22))), {2, 0, 0, 0, 0, 0x88})), "pass");
  backend_->make_known(kNew);
  for (const Bytes& in : frames_for_the_worker())
    EXPECT_EQ(on_backend_side(to_mac(in, {2, 0, 0, 0, 0, 0x88})), "pass");
}

TEST_F(SteerProgramTest, FramesForAnotherMacPassWithoutASocketToo) {
  constexpr uint8_t kKnown[] = {2, 0, 0, 0, 0, 0x77};
  const SteerProgram without(pins_->path(), STEER_SIDE_CLIENT, false);
  without.make_known(kKnown);
  const Bytes to_vip = eth(v4(kClient, kVip, tcp(40000, 80)));
  EXPECT_EQ(without.run(to_vip, *maps_), "no_socket");
  EXPECT_EQ(without.run(to_mac(to_vip, {2, 0, 0, 0, 0, 0x77}), *maps_), "pass");
}

TEST_F(SteerProgramTest, PassesOtherPortsProtocolsAndAddresses) {
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, tcp(40000, 81)))), "pass");
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, udp(40000, 80)))), "pass");
  EXPECT_EQ(on_client_side(eth(v4(kVip, kClient, tcp(80, 40000)))), "pass");
  EXPECT_EQ(on_client_side(eth(v4(kClient, "198.18.0.11", tcp(40000, 80)))), "pass");
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, {132, Bytes(32)}))), "pass");  // SCTP
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, tcp(40000, 81)))), "pass");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, udp(40000, 80)))), "pass");
}

TEST_F(SteerProgramTest, SteersFromBackendsOnBackendSideOnly) {
  const Bytes reply = eth(v4(kBackend, kClient, tcp(8080, 40000)));
  const Bytes reply6 = eth(v6(kBackend6, kClient6, udp(5300, 40000)));
  EXPECT_EQ(on_backend_side(reply), "from_backend");
  EXPECT_EQ(on_backend_side(reply6), "from_backend");
  EXPECT_EQ(on_client_side(reply), "pass");
  EXPECT_EQ(on_client_side(reply6), "pass");
  EXPECT_EQ(on_backend_side(eth(v4(kBackend, kClient, tcp(22, 40000)))), "pass");
  EXPECT_EQ(on_backend_side(eth(v4(kClient, kBackend, tcp(40000, 8080)))), "pass");  // merely routed through
}

TEST_F(SteerProgramTest, LocalAddressWinsOverBackendSource) {
  EXPECT_EQ(on_backend_side(eth(v4(kBackend, "198.18.2.1", tcp(8080, 40000)))),
            "pass");  // a health check's answer
  EXPECT_EQ(on_backend_side(eth(v6(kBackend6, "fd18:2::1", tcp(8080, 40000)))), "pass");
}

TEST_F(SteerProgramTest, VipOnALocalAddressTakesItsPortOnly) {
  EXPECT_EQ(on_client_side(eth(v4(kClient, "198.18.1.1", tcp(40000, 443)))), "to_vip");
  EXPECT_EQ(on_client_side(eth(v4(kClient, "198.18.1.1", tcp(40000, 22)))), "pass");
}

TEST_F(SteerProgramTest, IcmpErrorFollowsItsQuotedPacket) {
  // The client's side sends an error about a reply from the VIP.
  const Bytes about_reply = v4(kVip, kClient, tcp(80, 40000));
  for (uint8_t type : {3, 11, 12}) {
    EXPECT_EQ(on_client_side(eth(v4("198.18.3.1", kVip, icmp4(type, about_reply)))), "icmp_error")
        << int{type};
  }
  const Bytes about_reply6 = v6(kVip6, kClient6, udp(5300, 40000));
  for (uint8_t type : {1, 2, 3, 4}) {
    EXPECT_EQ(on_client_side(eth(v6("fd18:3::1", kVip6, icmp6(type, about_reply6)))), "icmp_error")
        << int{type};
  }
  // The backend's side sends an error about a packet to the backend.
  const Bytes about_request = v4(kClient, kBackend, tcp(40000, 8080));
  EXPECT_EQ(on_backend_side(eth(v4(kBackend, kClient, icmp4(3, about_request)))), "icmp_error");
  EXPECT_EQ(on_client_side(eth(v4(kBackend, kClient, icmp4(3, about_request)))), "pass");
  const Bytes about_request6 = v6(kClient6, kBackend6, tcp(40000, 8080));
  EXPECT_EQ(on_backend_side(eth(v6(kBackend6, kClient6, icmp6(1, about_request6)))), "icmp_error");
  EXPECT_EQ(on_client_side(eth(v6(kBackend6, kClient6, icmp6(1, about_request6)))), "pass");
}

TEST_F(SteerProgramTest, IcmpErrorNeedsOnlyTheQuotedPorts) {
  Bytes quoted = v4(kVip, kClient, tcp(80, 40000));
  quoted.resize(20 + 8);  // what RFC 792 promises
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, icmp4(3, quoted)))), "icmp_error");
  quoted.resize(20 + 4);
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, icmp4(3, quoted)))), "icmp_error");
  quoted.resize(20 + 3);
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, icmp4(3, quoted)))), "pass");
  // Ethernet padding after the packet does not belong to the quote.
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, icmp4(3, quoted))) + Bytes(30)), "pass");
}

TEST_F(SteerProgramTest, OtherIcmpPasses) {
  const Bytes about_reply = v4(kVip, kClient, tcp(80, 40000));
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, icmp4(8, about_reply)))), "pass");  // echo
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, icmp4(5, about_reply)))), "pass");  // redirect
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, icmp4(3, v4(kVip, kClient, tcp(81, 1)))))),
            "pass");  // another port
  EXPECT_EQ(on_client_side(eth(v4(kClient, kBackend, icmp4(3, about_reply)))),
            "pass");  // not sent to the VIP
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, icmp4(3, v6(kVip6, kClient6, tcp(80, 1)))))), "pass");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, icmp6(128, v6(kVip6, kClient6, tcp(80, 1)))))), "pass");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, icmp6(135, Bytes(24))))),
            "pass");  // neighbour solicitation
  // This is an error about the host's own packet to a backend.
  const Bytes check = v4("198.18.2.1", kBackend, tcp(40000, 8080));
  EXPECT_EQ(on_backend_side(eth(v4(kBackend, "198.18.2.1", icmp4(3, check)))), "pass");
}

TEST_F(SteerProgramTest, IcmpErrorAboutAVipOnALocalAddress) {
  EXPECT_EQ(
      on_client_side(eth(v4(kClient, "198.18.1.1", icmp4(3, v4("198.18.1.1", kClient, tcp(443, 40000)))))),
      "icmp_error");
  EXPECT_EQ(
      on_client_side(eth(v4(kClient, "198.18.1.1", icmp4(3, v4("198.18.1.1", kClient, tcp(22, 40000)))))),
      "pass");
}

TEST_F(SteerProgramTest, FragmentsV4) {
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, udp(40000, 5300), {.more_fragments = true}))), "to_vip");
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, udp(40000, 99), {.more_fragments = true}))), "pass");
  const Inner rest = {IPPROTO_UDP, Bytes(16)};
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, rest, {.fragment_bytes = 1480}))), "fragment");
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, {IPPROTO_UDP, Bytes(1)}, {.fragment_bytes = 8}))),
            "fragment");
  EXPECT_EQ(on_backend_side(eth(v4(kBackend, kClient, rest, {.fragment_bytes = 1480}))), "fragment");
  EXPECT_EQ(on_client_side(eth(v4(kBackend, kClient, rest, {.fragment_bytes = 1480}))), "pass");
  EXPECT_EQ(on_backend_side(eth(v4(kBackend, "198.18.2.1", rest, {.fragment_bytes = 1480}))), "pass");
  EXPECT_EQ(on_client_side(eth(v4(kClient, "198.18.3.1", rest, {.fragment_bytes = 1480}))), "pass");
}

TEST_F(SteerProgramTest, FragmentsV6) {
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, fragment(udp(40000, 5300), 0, true)))), "to_vip");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, fragment(udp(40000, 99), 0, true)))), "pass");
  const Inner rest = fragment({IPPROTO_UDP, Bytes(16)}, 1448, false);
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, rest))), "fragment");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, hop_by_hop(rest)))), "fragment");
  EXPECT_EQ(on_backend_side(eth(v6(kBackend6, kClient6, rest))), "fragment");
  EXPECT_EQ(on_client_side(eth(v6(kBackend6, kClient6, rest))), "pass");
  EXPECT_EQ(on_backend_side(eth(v6(kBackend6, "fd18:2::1", rest))), "pass");
}

TEST_F(SteerProgramTest, WalksOptionsAndExtensionHeaders) {
  for (size_t option_bytes = 4; option_bytes <= 40; option_bytes += 4) {
    EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, tcp(40000, 80), {.option_bytes = option_bytes}))),
              "to_vip");
  }
  const Inner syn = tcp(40000, 80);
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, hop_by_hop(syn)))), "to_vip");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, destination_options(syn, 7)))), "to_vip");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, routing(syn, 0)))), "to_vip");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, routing(syn, 1)))),
            "pass");  // the VIP is not where it ends
  EXPECT_EQ(
      on_client_side(eth(v6(kClient6, kVip6, hop_by_hop(destination_options(fragment(syn, 0, false)))))),
      "to_vip");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, {51, Bytes(24)}))), "pass");  // an authentication header
  // Quoted packets may have options and extension headers, too.
  EXPECT_EQ(
      on_client_side(eth(v4(kClient, kVip, icmp4(3, v4(kVip, kClient, tcp(80, 1), {.option_bytes = 8}))))),
      "icmp_error");
  EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, icmp6(2, v6(kVip6, kClient6, hop_by_hop(tcp(80, 1))))))),
            "icmp_error");
}

TEST_F(SteerProgramTest, PacketsThatTheKernelHasToAnswerPass) {
  constexpr size_t kTtl = 14 + 8, kHopLimit = 14 + 7;
  for (const uint8_t ttl : {0, 1, 2}) {
    const char* expected = ttl <= 1 ? "pass" : "to_vip";
    Bytes in = eth(v4(kClient, kVip, tcp(40000, 80)));
    in[kTtl] = ttl;
    EXPECT_EQ(on_client_side(in), expected);
    in = eth(v6(kClient6, kVip6, tcp(40000, 80)));
    in[kHopLimit] = ttl;
    EXPECT_EQ(on_client_side(in), expected);
    in = eth(v4(kBackend, kClient, tcp(8080, 40000)));
    in[kTtl] = ttl;
    EXPECT_EQ(on_backend_side(in), ttl <= 1 ? "pass" : "from_backend");
    // The TTL of a quoted packet has run out, of course.
    in = eth(v4(kBackend, kVip, icmp4(11, v4(kVip, kClient, tcp(80, 1)))));
    in[14 + 20 + 8 + 8] = ttl;
    EXPECT_EQ(on_client_side(in), "icmp_error");
  }
}

TEST_F(SteerProgramTest, SourceRoutedPacketsPass) {
  constexpr size_t kOptions = 14 + 20;
  for (const uint8_t type : {131, 137, 7}) {  // 7 records a route
    for (size_t at = 0; at <= 33; ++at) {     // behind so many no-operations
      Bytes in = eth(v4(kClient, kVip, tcp(40000, 80), {.option_bytes = 40}));
      in[kOptions + at] = type;
      in[kOptions + at + 1] = 7;
      EXPECT_EQ(on_client_side(in), type == 7 ? "to_vip" : "pass") << int{type} << " at " << at;
    }
  }
  Bytes in = eth(v4(kClient, kVip, tcp(40000, 80), {.option_bytes = 8}));
  in[kOptions] = 0;  // the end of the list
  in[kOptions + 1] = 131;
  EXPECT_EQ(on_client_side(in), "to_vip");
}

TEST_F(SteerProgramTest, WalksSixExtensionHeadersAndNotSeven) {
  Inner inner = tcp(40000, 80);
  for (int count = 1; count <= 7; ++count) {
    inner = destination_options(inner, 1);
    EXPECT_EQ(on_client_side(eth(v6(kClient6, kVip6, inner))), count <= 6 ? "to_vip" : "pass") << count;
  }
}

TEST_F(SteerProgramTest, TruncatedAnywherePasses) {
  const Bytes frames[] = {
      eth(v4(kClient, kVip, tcp(40000, 80))),
      eth(v4(kClient, kVip, udp(40000, 5300), {.option_bytes = 12})),
      eth(v4(kClient, kVip, {IPPROTO_UDP, Bytes(16)}, {.fragment_bytes = 1480})),
      eth(v4(kClient, kVip, icmp4(3, v4(kVip, kClient, tcp(80, 40000))))),
      eth(v6(kClient6, kVip6,
             hop_by_hop(routing(destination_options(fragment(tcp(40000, 80), 0, true)), 0)))),
      eth(v6(kClient6, kVip6, icmp6(1, v6(kVip6, kClient6, hop_by_hop(udp(5300, 40000)))))),
  };
  for (const Bytes& whole : frames) {
    EXPECT_NE(on_client_side(whole), "pass");
    // The kernel runs no XDP program on less than an Ethernet header.
    for (size_t bytes = 14; bytes < whole.size(); ++bytes) {
      EXPECT_EQ(on_client_side(Bytes(whole.begin(), whole.begin() + static_cast<long>(bytes))), "pass")
          << bytes;
    }
  }
}

TEST_F(SteerProgramTest, ContradictoryHeadersPass) {
  const Bytes syn = v4(kClient, kVip, tcp(40000, 80));
  const auto with = [](Bytes packet, size_t at, uint8_t value) {
    packet[at] = value;
    return packet;
  };
  EXPECT_EQ(on_client_side(eth(with(syn, 0, 0x44))), "pass");               // header length 16
  EXPECT_EQ(on_client_side(eth_type(0x0800, with(syn, 0, 0x55))), "pass");  // version 5
  EXPECT_EQ(on_client_side(eth_type(0x86dd, syn)), "pass");                 // announced as IPv6
  EXPECT_EQ(on_client_side(eth(with(syn, 3, 19))), "pass");                 // total length below the header's
  EXPECT_EQ(on_client_side(eth(with(syn, 3, 39))), "pass");                 // a TCP header of 19 bytes
  EXPECT_EQ(on_client_side(eth(with(syn, 3, 41))), "pass");                 // longer than the frame
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, {IPPROTO_UDP, Bytes{0, 1, 0x14, 0xb4, 0, 7, 0}}))), "pass");
  // An IPv4 VIP written as an IPv6 address is not that VIP.
  EXPECT_EQ(on_client_side(eth(v6(kClient6, "::ffff:198.18.0.10", tcp(40000, 80)))), "pass");
}

TEST_F(SteerProgramTest, PaddingDoesNotMatter) {
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, tcp(40000, 80))) + Bytes(6)), "to_vip");
}

TEST_F(SteerProgramTest, OtherEthernetTypesPass) {
  const Bytes syn = v4(kClient, kVip, tcp(40000, 80));
  EXPECT_EQ(on_client_side(eth_type(0x0806, Bytes(28))), "pass");                               // ARP
  EXPECT_EQ(on_client_side(eth_type(0x8100, be16(5) + be16(0x0800) + syn)), "pass");            // VLAN
  EXPECT_EQ(on_client_side(eth_type(0x88a8, be16(5) + be16(0x8100) + be16(5) + syn)), "pass");  // QinQ
  EXPECT_EQ(on_client_side(eth_type(0x88cc, Bytes(46))), "pass");                               // LLDP
}

TEST_F(SteerProgramTest, DropsSteeredPacketsWithoutASocket) {
  const SteerProgram without(pins_->path(), STEER_SIDE_CLIENT | STEER_SIDE_BACKEND, false);
  ASSERT_TRUE(without.loaded());
  EXPECT_EQ(without.run(eth(v4(kClient, kVip, tcp(40000, 80))), *maps_), "no_socket");
  EXPECT_EQ(without.run(eth(v4(kBackend, kClient, tcp(8080, 40000))), *maps_), "no_socket");
  EXPECT_EQ(without.run(eth(v4(kClient, kVip, icmp4(3, v4(kVip, kClient, tcp(80, 1))))), *maps_),
            "no_socket");
  EXPECT_EQ(without.run(eth(v4(kClient, kVip, tcp(40000, 81))), *maps_), "pass");
}

TEST_F(SteerProgramTest, EverythingPassesWithEmptyMaps) {
  ASSERT_TRUE(maps_->remove_others({}));
  EXPECT_EQ(on_client_side(eth(v4(kClient, kVip, tcp(40000, 80)))), "pass");
  EXPECT_EQ(on_backend_side(eth(v4(kBackend, kClient, tcp(8080, 40000)))), "pass");
}

// A program may have a million instructions. Verifiers of other kernels count slightly differently.
TEST_F(SteerProgramTest, IsFarBelowTheVerifiersLimit) {
  bpf_prog_info info = {};
  uint32_t bytes = sizeof(info);
  ASSERT_EQ(bpf_obj_get_info_by_fd(client_->fd(), &info, &bytes), 0);
  RecordProperty("verified_instructions", static_cast<int>(info.verified_insns));
  EXPECT_LT(info.verified_insns, 200'000u);
}

}  // namespace
}  // namespace teal
