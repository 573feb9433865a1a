// SPDX-License-Identifier: Apache-2.0
//
// A pool with empty = "reject" whose backends are all down: the packets that clients get back.
#include "dataplane/pipeline/reject.h"
#include "tests/unit/dataplane/pipeline/reset/reset_fixture.h"

namespace teal::test {
namespace {

class Reject : public ResetTest {
 protected:
  void reject_all() {
    for (uint16_t service = 0; service < kServices; ++service)
      words().set_mode(service, Colour::kBlue, PoolMode::kReject);
    for (uint16_t backend = 0; backend < kBackends; ++backend)
      if (colour_of(backend) == Colour::kBlue) words().set_held_back(backend, kDown);
  }
};

TEST_F(Reject, ASynIsAnsweredByARstOfTheVip) {
  start();
  reject_all();
  for (const uint16_t service : {kWeb, kWeb6}) {
    const Client who = client(service);
    Frame syn = client_segment(who, kSyn, 0).tcp_options({2, 4, 5, 0xb4}).payload("tfo").build();
    const Sent rst = pass(kFront, syn);
    EXPECT_TRUE(is_bare(rst));
    EXPECT_EQ(rst.port, kFront);
    EXPECT_EQ(rst.from(), to_string(vip(service)));
    EXPECT_EQ(rst.to(), to_string(Socket{who.address, Be16::from_host(who.port)}));
    EXPECT_EQ(rst.destination_mac(), kClientMac);
    EXPECT_EQ(rst.source_mac(), kEdgeMac);
    EXPECT_EQ(segment_in(rst).flags, kRstAck);
    EXPECT_EQ(segment_in(rst).seq, 0u);
    EXPECT_EQ(segment_in(rst).ack, 77u + 1 + 3) << "the SYN and its data";
  }
  EXPECT_EQ(count(Event::k_rejected), 2u);
  EXPECT_EQ(flows(), 0u);
  EXPECT_EQ(count(Event::k_flows_created), 0u);
}

TEST_F(Reject, AMidstreamPacketIsAnsweredByTheRstThatItsSenderAccepts) {
  start();
  reject_all();
  const Client who = client(kWeb);
  EXPECT_TRUE(is_rst_to_client(pass(kFront, client_segment(who, kAck).build()), who));
}

TEST_F(Reject, AUdpPacketIsAnsweredByPortUnreachableOfTheVip) {
  start();
  reject_all();
  for (const uint16_t service : {kEcho, kEcho6}) {
    const Client who = client(service);
    for (const char* payload : {"", "a question"}) {
      const Frame asked = from_client(who, 0, payload);
      const Sent error = pass(kFront, asked);
      ASSERT_EQ(error.port, kFront);
      const Frame expected = PacketBuilder()
                                 .eth(kClientMac, kEdgeMac)
                                 .ip(vip(service).address, who.address)
                                 .icmp_unreachable(asked)
                                 .build();
      ASSERT_EQ(error.frame.size(), expected.size());
      const size_t icmp = service == kEcho ? 34 : 54;
      EXPECT_TRUE(std::equal(expected.begin() + static_cast<long>(icmp), expected.end(),
                             error.frame.begin() + static_cast<long>(icmp)));
      EXPECT_TRUE(std::equal(expected.begin(), expected.begin() + 14, error.frame.begin()));
      EXPECT_TRUE(checksums_are_right(error.frame));
      EXPECT_EQ(error.ttl(), 64);
      EXPECT_EQ(parse(error.frame.data(), static_cast<uint32_t>(error.frame.size())).result,
                ParseResult::kIcmpError);
    }
  }
  EXPECT_EQ(count(Event::k_rejected), 4u);
  EXPECT_EQ(flows(), 0u);
}

TEST_F(Reject, HalfOpenAndUdpFlowsAreRefusedAndEstablishedOnesGoOn) {
  start();
  const Client half_open = client(kWeb, 0), udp = client(kEcho, 1), live = client(kWeb, 2);
  send_from_client(half_open, kSyn);
  open_flow(udp);
  const uint16_t backend = open_flow(live);
  reject_all();
  EXPECT_EQ(segment_in(pass(kFront, client_segment(half_open, kSyn).build())).flags, kRstAck);
  EXPECT_EQ(pass(kFront, from_client(udp)).port, kFront);
  EXPECT_EQ(send_from_client(live, kAck), backend);
  EXPECT_EQ(count(Event::k_rejected), 2u);
  EXPECT_EQ(flows(), 1u);
  for (const uint16_t id : {0, 1, 6, 7}) words().set_held_back(id, kTakesAll);
  EXPECT_NE(send_from_client(half_open, kSyn), kNoId);
}

TEST_F(Reject, NothingAnswersARst) {
  start();
  reject_all();
  EXPECT_TRUE(drops(DropReason::k_reject_limit, kFront, from_client(client(kWeb), kRst)));
  EXPECT_EQ(count(Event::k_rejected), 0u);
}

TEST_F(Reject, AnswersOfAWorkerAreLimitedInEachTick) {
  start();
  reject_all();
  uint32_t answered = 0;
  const auto ask = [&](uint32_t packets) {
    for (uint32_t i = 0; i < packets; ++i)
      answered += pass(kFront, from_client(client(kWeb, i), kSyn)).port == kFront;
  };
  ask(Rejects::kPerTick + 20);
  EXPECT_EQ(answered, Rejects::kPerTick);
  EXPECT_EQ(count(DropReason::k_reject_limit), 20u);
  let_pass(1);
  ask(20);
  EXPECT_EQ(answered, Rejects::kPerTick + 20);
  EXPECT_EQ(count(Event::k_rejected), Rejects::kPerTick + 20u);
}

}  // namespace
}  // namespace teal::test
