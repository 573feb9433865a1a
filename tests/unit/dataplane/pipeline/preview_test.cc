// SPDX-License-Identifier: Apache-2.0
//
// Previews: some clients, and all clients of the preview address, get the idle colour. model_test.cc compares
// them with the plainest version.
#include "control/metrics/trials.h"
#include "tests/unit/dataplane/pipeline/reset/reset_fixture.h"

namespace teal::test {
namespace {

Client to_preview(uint16_t service, uint32_t number = 0) {
  Client who = client(service, number);
  who.to_preview = true;
  return who;
}

class PreviewTest : public ResetTest, public testing::WithParamInterface<uint16_t> {
 protected:
  static constexpr uint32_t kOthers = 1;  // client(service, kOthers) has another address than client(service)

  void set_preview(uint16_t service, std::vector<IpPrefix> clients) {
    ruleset_input.services[service].preview_clients = std::move(clients);
    publish();
    settle();
  }
  std::string reply_source(const Client& who, uint16_t backend, uint8_t flags = kAck) {
    const Sent sent = pass(kBack, from_backend(who, backend, flags, "reply"));
    EXPECT_TRUE(checksums_are_right(sent.frame));
    return sent.from();
  }
  uint64_t previewed(uint16_t service, Colour colour) const {
    return segment().worker(0).services[service][static_cast<int>(colour)].previewed.read();
  }
  uint32_t answered_when_idle(uint16_t service, Colour colour) const {
    return segment().worker(0).services[service][static_cast<int>(colour)].answered_when_idle.load();
  }
  TrialCounts trial(uint16_t service, Colour colour) const {
    TrialCounts sum;
    for (const TrialCounters& cell : segment().worker(0).trials[service][static_cast<int>(colour)])
      sum += counts_of(cell);
    return sum;
  }
};

using Preview = PreviewTest;
using PreviewOfATcpService = PreviewTest;
INSTANTIATE_TEST_SUITE_P(Services, Preview, testing::Values(kWeb, kWeb6, kEcho, kEcho6), service_param_name);
INSTANTIATE_TEST_SUITE_P(Services, PreviewOfATcpService, testing::Values(kWeb, kWeb6), service_param_name);

TEST_P(Preview, ItsClientsGetTheIdleColourAndAllOthersTheActiveOne) {
  start();
  const uint16_t service = GetParam();
  const bool v4 = vip(service).address.is_v4();
  set_preview(service, {*parse_prefix(v4 ? "198.18.9.0/24" : "fd18:9::/64"), {client(service).address}});
  for (const Colour active : {Colour::kBlue, Colour::kGreen}) {
    flip({service}, active);
    const uint32_t port = 8 * (1 + static_cast<uint32_t>(active));
    EXPECT_EQ(colour_of(open_flow(client(service, port))), other(active));
    EXPECT_EQ(colour_of(open_flow(client(service, port + kOthers))), active);
    Client of_network = client(service, port);
    of_network.address = *IpAddress::parse(v4 ? "198.18.9.77" : "fd18:9::4:4");
    EXPECT_EQ(colour_of(open_flow(of_network)), other(active));
    EXPECT_EQ(previewed(service, other(active)), 2u);
  }
  set_preview(service, {});
  EXPECT_EQ(colour_of(open_flow(client(service, 64))), Colour::kGreen);
  EXPECT_EQ(count(Event::k_wrong_colour_flows), 0u);
  EXPECT_TRUE(ledger_is_exact());
}

TEST_P(Preview, ItsClientsHearFromTheVip) {
  start();
  set_preview(GetParam(), {{client(GetParam()).address}});
  const uint16_t backend = open_flow(client(GetParam()));
  EXPECT_EQ(reply_source(client(GetParam()), backend), to_string(vip(GetParam())));
}

TEST_P(Preview, AddressLeadsEverybodyToTheIdleColourAndAnswers) {
  start();
  const uint16_t service = GetParam();
  for (const Colour active : {Colour::kGreen, Colour::kBlue, Colour::kGreen}) {
    flip({service}, active);
    for (uint32_t number = 0; number < 8; ++number) {
      const Client who = to_preview(service, number + 8 * static_cast<uint32_t>(header().word.load() % 8191));
      const uint16_t backend = open_flow(who);
      EXPECT_EQ(colour_of(backend), other(active));
      for (int i = 0; i < 2; ++i) {
        const Sent sent = pass(kFront, from_client(who, kAck, "data"));
        EXPECT_EQ(backend_of(sent), backend);
        EXPECT_TRUE(checksums_are_right(sent.frame));
        EXPECT_EQ(reply_source(who, backend), to_string(preview(service)));
      }
    }
  }
  EXPECT_EQ(count(DropReason::k_tuple_in_use), 0u);
  EXPECT_TRUE(ledger_is_exact());
}

TEST_P(Preview, AnAnswerOfTheIdleColourIsNoted) {
  start();
  const uint16_t service = GetParam();
  flip({service}, Colour::kBlue);
  const uint16_t refuses = send_from_client(to_preview(service), kSyn);
  if (service == kWeb || service == kWeb6) reply_source(to_preview(service), refuses, kRst);
  (void)open_flow(client(service, kOthers));
  EXPECT_EQ(answered_when_idle(service, Colour::kBlue), 0u) << "blue is active";
  EXPECT_EQ(answered_when_idle(service, Colour::kGreen), 0u) << "a refusal is no answer";
  (void)open_flow(to_preview(service, 2 * kOthers));
  EXPECT_EQ(answered_when_idle(service, Colour::kGreen),
            PublicationWord::unpack(header().word.load()).generation);
}

TEST_P(PreviewOfATcpService, ALateAnswerToAFlowOfBeforeTheFlipIsNotNoted) {
  start();
  const uint16_t service = GetParam();
  flip({service}, Colour::kBlue);
  const uint16_t late = send_from_client(client(service), kSyn);
  flip({service}, Colour::kGreen);
  (void)reply_source(client(service), late, kSyn | kAck);
  EXPECT_EQ(answered_when_idle(service, Colour::kBlue), 0u);
}

TEST_P(Preview, AnExistingFlowStaysWhenAPreviewBegins) {
  start();
  const uint16_t backend = open_flow(client(GetParam()));
  set_preview(GetParam(), {{client(GetParam()).address}});
  EXPECT_EQ(send_from_client(client(GetParam())), backend);
}

TEST_P(Preview, ATupleInUseCannotSpeakToTheOtherAddress) {
  start();
  const uint16_t service = GetParam();
  const uint16_t backend = open_flow(client(service));
  EXPECT_TRUE(drops(DropReason::k_tuple_in_use, kFront, from_client(to_preview(service), kSyn)));
  EXPECT_TRUE(drops(DropReason::k_tuple_in_use, kFront, from_client(to_preview(service), kAck, "data")));
  EXPECT_EQ(send_from_client(client(service)), backend);
  const uint16_t idle = open_flow(to_preview(service, kOthers));
  EXPECT_TRUE(drops(DropReason::k_tuple_in_use, kFront, from_client(client(service, kOthers), kSyn)));
  EXPECT_EQ(send_from_client(to_preview(service, kOthers)), idle);
  EXPECT_EQ(flows(), 2u);
}

// Anybody can forge a packet to the preview address.
TEST_P(Preview, AFlowThatIsNotAssuredGivesWayToTheVip) {
  start();
  const uint16_t service = GetParam();
  EXPECT_EQ(colour_of(send_from_client(to_preview(service), kSyn)), Colour::kGreen);
  const uint16_t backend = open_flow(client(service));
  EXPECT_EQ(colour_of(backend), Colour::kBlue);
  EXPECT_EQ(reply_source(client(service), backend), to_string(vip(service)));
  EXPECT_TRUE(drops(DropReason::k_tuple_in_use, kFront, from_client(to_preview(service), kSyn)));
  EXPECT_TRUE(ledger_is_exact());
}

TEST_F(PreviewTest, AUdpFlowThatIsCutFollowsThePreviewAtAFlip) {
  ruleset_input.services[kEcho].udp_cut = true;
  start();
  set_preview(kEcho, {{client(kEcho).address}});
  for (const Client& who : {client(kEcho), to_preview(kEcho, kOthers)}) {
    flip({kEcho}, Colour::kBlue);
    EXPECT_EQ(colour_of(open_flow(who)), Colour::kGreen);
    flip({kEcho}, Colour::kGreen);
    EXPECT_EQ(colour_of(send_from_client(who)), Colour::kBlue);
    flip({kEcho}, Colour::kBlue);
    EXPECT_EQ(colour_of(send_from_client(who)), Colour::kGreen);
  }
}

TEST_P(PreviewOfATcpService, AClosedTupleMaySpeakToTheOtherAddress) {
  start();
  const uint16_t service = GetParam();
  const uint16_t backend = open_flow(client(service));
  pass(kBack, from_backend(client(service), backend, kRst));
  const uint16_t idle = open_flow(to_preview(service));
  EXPECT_EQ(colour_of(backend), Colour::kBlue);
  EXPECT_EQ(colour_of(idle), Colour::kGreen);
  EXPECT_EQ(reply_source(to_preview(service), idle), to_string(preview(service)));
}

TEST_P(PreviewOfATcpService, AHalfOpenConnectionFollowsAPreviewThatBegins) {
  start();
  const Client who = client(GetParam());
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kBlue);
  set_preview(GetParam(), {{who.address}});
  EXPECT_EQ(colour_of(send_from_client(who, kSyn)), Colour::kGreen);
}

TEST_P(PreviewOfATcpService, AMidstreamFlowGetsTheColourThatItGotBeforeTheFlip) {
  start();
  flip({GetParam()}, Colour::kGreen);
  EXPECT_EQ(colour_of(send_from_client(client(GetParam(), kOthers), kAck)), Colour::kBlue);
  EXPECT_EQ(colour_of(send_from_client(to_preview(GetParam()), kAck)), Colour::kGreen);
}

TEST_P(Preview, ItsFlowsAreNotJudged) {
  start();
  const uint16_t service = GetParam();
  set_preview(service, {{client(service).address}});
  for (const Client& who : {client(service, 8), to_preview(service, kOthers)}) {
    send_from_client(who, kSyn);
    for (uint32_t tick = 0; tick <= 2 * kTicksPerSecond; ++tick) {
      let_pass(1);
      settle();
    }
  }
  const auto& signals = segment().worker(0).signals;
  uint64_t begun = 0, unanswered = 0;
  for (uint16_t backend = 0; backend < kBackends; ++backend) {
    const BackendSignals& of = signals[backend][static_cast<int>(Colour::kGreen)];
    begun += of.begun.read();
    unanswered += of.unanswered.read() + of.udp_unanswered.read();
  }
  EXPECT_EQ(begun, 2u);
  EXPECT_EQ(unanswered, 2u);
  EXPECT_EQ(previewed(service, Colour::kGreen), 2u);
  EXPECT_EQ(trial(service, Colour::kGreen), TrialCounts{});
}

TEST_P(Preview, AddressWithoutAFreeEntryIsDropped) {
  start({.flow_capacity = 1, .partitions = 1});
  for (uint32_t i = 0; i < kShareOfBucket; ++i) open_flow(client(GetParam(), i));
  EXPECT_TRUE(drops(DropReason::k_no_preview, kFront, from_client(to_preview(GetParam(), 100), kSyn)));
  EXPECT_NE(send_from_client(client(GetParam(), 100), kSyn), kNoId) << "the VIP serves without an entry";
}

TEST_P(Preview, RepliesFromAnAddressThatLeftTheConfigAreDropped) {
  start();
  const Client who = to_preview(GetParam());
  const uint16_t backend = open_flow(who);
  const Frame request = from_client(who);
  ruleset_input.services[GetParam()].preview.reset();
  publish();
  settle();
  EXPECT_TRUE(drops(DropReason::k_no_preview, kBack, from_backend(who, backend)));
  EXPECT_TRUE(punts_unchanged(kFront, request)) << "it is the kernel's again";
  EXPECT_NE(send_from_client(client(GetParam()), kSyn), kNoId) << "its tuple is free for the VIP";
}

TEST_P(Preview, IcmpErrorsPassBothWaysWithItsAddress) {
  start();
  const uint16_t service = GetParam();
  const Client who = to_preview(service);
  const uint16_t backend = open_flow(who);
  const IpAddress address = preview(service).address;
  const Frame reply = pass(kBack, from_backend(who, backend, kAck, "reply")).frame;
  const Sent to_backend =
      pass(kFront, PacketBuilder().ip(who.address, address).icmp_unreachable(reply, 1280).build());
  EXPECT_EQ(to_backend.port, kBack);
  EXPECT_EQ(wrong_checksums(to_backend.frame), std::vector<std::string>{});

  const Frame request = pass(kFront, from_client(who, kAck, "request")).frame;
  const IpAddress own = backend_socket(backend).address;
  const Sent to_client =
      pass(kBack, PacketBuilder().ip(own, who.address).icmp_unreachable(request, 1280).build());
  EXPECT_EQ(to_client.port, kFront);
  EXPECT_EQ(wrong_checksums(to_client.frame), std::vector<std::string>{});
  const ParsedPacket quote = parse(to_client.frame.data(), static_cast<uint32_t>(to_client.frame.size()));
  EXPECT_EQ(quote.destination, address);

  // An error about a packet of the other address belongs to no flow.
  const Socket& vip_socket = vip(service);
  PacketBuilder from_vip;
  from_vip.ip(vip_socket.address, who.address);
  vip_socket.protocol == kProtocolTcp ? from_vip.tcp(vip_socket.port.host(), who.port, kAck)
                                      : from_vip.udp(vip_socket.port.host(), who.port);
  EXPECT_TRUE(drops(
      DropReason::k_icmp_without_flow, kFront,
      PacketBuilder().ip(who.address, vip_socket.address).icmp_unreachable(from_vip.build(), 1280).build()));
}

TEST_P(PreviewOfATcpService, AResetComesFromTheAddressThatTheClientSpeaksTo) {
  start();
  const Client who = to_preview(GetParam());
  const uint16_t backend = open_flow(who);
  EXPECT_EQ(colour_of(backend), Colour::kGreen);
  flip({GetParam()}, Colour::kGreen);
  flip({GetParam()}, Colour::kBlue);
  reset_drained(GetParam());
  const std::vector<Sent> probes = sweep_and_collect();
  ASSERT_EQ(probes.size(), 2u);
  EXPECT_EQ(probes[0].from(), to_string(address_of(who)));
  EXPECT_TRUE(is_rst_to_client(pass(kFront, ack_of_client(who)), who));
}

TEST_P(PreviewOfATcpService, ADrainsResetSparesMidstreamFlowsThatComeAfterTheDrain) {
  start();
  const uint16_t service = GetParam();
  flip({service}, Colour::kGreen, 10);
  let_pass(20);
  settle();
  reset_drained(service);
  const Client who = to_preview(service);
  EXPECT_EQ(colour_of(send_from_client(who, kAck)), Colour::kBlue);
  sweep();
  EXPECT_EQ(phase_of(who), FlowPhase::kEmbryonic);
  EXPECT_TRUE(ledger_is_exact());
}

TEST_P(PreviewOfATcpService, ADrainsResetSparesThePreviewsSinceTheFlip) {
  start();
  const uint16_t service = GetParam();
  const Client old = client(service);
  open_flow(old);
  flip({service}, Colour::kGreen);
  const Client since = to_preview(service, kOthers);
  EXPECT_EQ(colour_of(open_flow(since)), Colour::kBlue);
  reset_drained(service);
  sweep();
  EXPECT_EQ(phase_of(old), FlowPhase::kResetting);
  EXPECT_EQ(phase_of(since), FlowPhase::kEstablished);
}

}  // namespace
}  // namespace teal::test
