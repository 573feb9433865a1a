// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <set>

#include "dataplane/pipeline/reset.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {

// The fields of a TCP segment that resets are about.
struct Numbers {
  uint8_t flags = 0;
  uint32_t seq = 0, ack = 0;
  uint16_t payload_bytes = 0;
};

class ResetTest : public WorkerTest {
 protected:
  static constexpr uint32_t kReceivedNext = 0x80000001;  // what an end asks for next in these tests

  // One round of the sweep at once: a new worker's first sweep goes round the whole of a small table.
  void sweep(uint32_t workers = 1) {
    restart(workers);
    settle();
  }
  std::vector<Sent> sweep_and_collect(uint32_t workers = 1) {
    sweep(workers);
    return collect();
  }

  // Publishes that the drain of the latest flip is at its deadline: flows older than the flip are reset.
  void reset_drained(uint16_t service) {
    splits->services[service].reset_before = splits->services[service].flip_generation;
    publish_splits();
  }
  // Opens a flow and sends the first probes of its reset. Returns its backend.
  uint16_t begin_reset(const Client& who) {
    const uint16_t backend = open_flow(who);
    flip({who.service}, Colour::kGreen);
    reset_drained(who.service);
    EXPECT_EQ(sweep_and_collect().size(), 2u);
    EXPECT_EQ(phase_of(who), FlowPhase::kResetting);
    return backend;
  }
  // The same, and both ends have answered and got their RST.
  uint16_t complete_reset(const Client& who) {
    const uint16_t backend = begin_reset(who);
    pass(kFront, ack_of_client(who));
    pass(kBack, ack_of_backend(who, backend));
    EXPECT_EQ(phase_of(who), FlowPhase::kReset);
    return backend;
  }

  PacketBuilder client_segment(const Client& who, uint8_t flags, uint32_t ack = kReceivedNext) const {
    PacketBuilder builder;
    builder.ip(who.address, address_of(who).address)
        .tcp(who.port, address_of(who).port.host(), flags)
        .seq(77)
        .ack(ack);
    return builder;
  }
  PacketBuilder backend_segment(const Client& who, uint16_t backend, uint8_t flags,
                                uint32_t ack = kReceivedNext) const {
    const Socket& from = backend_socket(backend);
    PacketBuilder builder;
    builder.eth(kBackMac, backend_mac(backend))
        .ip(from.address, who.address)
        .tcp(from.port.host(), who.port, flags)
        .seq(88)
        .ack(ack);
    return builder;
  }
  // Challenge ACKs.
  Frame ack_of_client(const Client& who) const { return client_segment(who, kAck).build(); }
  Frame ack_of_backend(const Client& who, uint16_t backend) const {
    return backend_segment(who, backend, kAck).build();
  }

  static Numbers segment_in(const Sent& sent) {
    Numbers segment;
    if (sent.port == kNowhere) return segment;
    const ParsedPacket packet = parse(sent.frame.data(), static_cast<uint32_t>(sent.frame.size()));
    const auto number = [&](size_t offset) {
      Be32 value;
      std::memcpy(&value.raw, sent.frame.data() + packet.l4_offset + offset, 4);
      return value.host();
    };
    return {packet.tcp_flags, number(4), number(8), packet.payload_bytes};
  }

  // Checks that a frame has headers alone: 54 bytes, or 74 with IPv6.
  static testing::AssertionResult is_bare(const Sent& sent) {
    const bool v4 = sent.port != kNowhere && sent.frame[12] == 0x08;
    if (sent.port == kNowhere) return testing::AssertionFailure() << "nothing left";
    if (sent.frame.size() != (v4 ? 54u : 74u))
      return testing::AssertionFailure() << "it has " << sent.frame.size() << " bytes";
    if (!checksums_are_right(sent.frame)) return testing::AssertionFailure() << "a checksum is wrong";
    if (sent.ttl() != 64) return testing::AssertionFailure() << "its TTL is " << int{sent.ttl()};
    return testing::AssertionSuccess();
  }
  // Checks that a frame is the RST to a client, by the hop that its packet came by, or to a backend.
  testing::AssertionResult is_rst_to_client(const Sent& sent, const Client& who,
                                            uint32_t seq = kReceivedNext) const {
    return is_rst(sent, kFront, address_of(who), {who.address, Be16::from_host(who.port)}, kClientMac,
                  kEdgeMac, seq);
  }
  testing::AssertionResult is_rst_to_backend(const Sent& sent, const Client& who, uint16_t backend,
                                             uint32_t seq = kReceivedNext) const {
    return is_rst(sent, kBack, {who.address, Be16::from_host(who.port)}, backend_socket(backend),
                  backend_mac(backend), kBackMac, seq);
  }

 private:
  static testing::AssertionResult is_rst(const Sent& sent, uint16_t port, const Socket& from,
                                         const Socket& to, const MacAddress& to_mac,
                                         const MacAddress& from_mac, uint32_t seq) {
    if (const auto bare = is_bare(sent); !bare) return bare;
    const Numbers segment = segment_in(sent);
    if (sent.port != port) return testing::AssertionFailure() << "it left by port " << sent.port;
    if (sent.from() != to_string(from) || sent.to() != to_string(to))
      return testing::AssertionFailure() << "it goes from " << sent.from() << " to " << sent.to();
    if (sent.destination_mac() != to_mac || sent.source_mac() != from_mac)
      return testing::AssertionFailure() << "its Ethernet addresses are others";
    if (segment.flags != kTcpRst) return testing::AssertionFailure() << "flags " << int{segment.flags};
    if (segment.seq != seq || segment.ack != 0)
      return testing::AssertionFailure() << "seq " << segment.seq << ", ack " << segment.ack;
    return testing::AssertionSuccess();
  }
};

}  // namespace teal::test
