// SPDX-License-Identifier: Apache-2.0
//
// Parses any bytes as a frame. The headers that parse() accepts must lie inside the frame. Each rewrite must
// show in the parsed form, keep right checksums right and wrong ones wrong, and its inverse must restore each
// byte. A RST or an ICMP error that replaces the frame must be valid.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "dataplane/packet/parse.h"
#include "dataplane/packet/port_unreachable.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/packet/tcp_segment.h"
#include "tests/support/parsed_frame.h"
#include "tests/support/plain_checksum.h"
#include "tests/support/plain_twin.h"

namespace teal {
namespace {

using test::destination_of;
using test::parse;
using test::source_of;
using Frame = std::vector<uint8_t>;

void require(bool claim, int line = __builtin_LINE()) {
  if (claim) return;
  std::fprintf(stderr, "fuzz_parse.cc:%d: the claim does not hold\n", line);
  std::abort();
}

// Returns a socket of the packet's family, from the address ranges for documentation.
Socket stranger(const ParsedPacket& packet) {
  const char* text = packet.is_v4 ? "203.0.113.77:50007" : "[2001:db8::77]:50007";
  Socket socket = parse_socket(text).value();
  socket.protocol = packet.protocol;
  return socket;
}

// A checksum of 0xffff may leave as 0 (rewrite.h). So the frames to compare have 0 from the start.
void make_zero_unique(Frame& frame, size_t at) {
  if (frame.at(at) == 0xff && frame.at(at + 1) == 0xff) frame[at] = frame[at + 1] = 0;
}

void check_offsets(const ParsedPacket& packet, const Frame& frame) {
  const size_t l3_bytes = packet.is_v4 ? 20 : 40;
  require(packet.l3_offset == 14 && packet.l4_offset >= packet.l3_offset + l3_bytes);
  require(packet.is_v4 == packet.source.is_v4() && packet.is_v4 == packet.destination.is_v4());
  require(packet.ttl == frame.at(packet.l3_offset + (packet.is_v4 ? 8u : 7u)));
  require(packet.protocol == kProtocolTcp || packet.protocol == kProtocolUdp);
  if (packet.result == ParseResult::kFlowPacket) {
    const size_t least = packet.protocol == kProtocolTcp ? 20 : 8;
    require(packet.l4_offset + least + packet.payload_bytes <= frame.size());
  } else {
    require(packet.quoted_l3_offset == packet.l4_offset + 8);
    require(packet.quoted_l4_offset >= packet.quoted_l3_offset + l3_bytes && packet.quoted_l4_bytes >= 4);
    require(size_t{packet.quoted_l4_offset} + packet.quoted_l4_bytes <= frame.size());
  }
}

void check_flow_packet(const ParsedPacket& packet, Frame frame) {
  if (packet.is_v4) make_zero_unique(frame, packet.l3_offset + 10u);
  if (packet.protocol == kProtocolTcp) make_zero_unique(frame, packet.l4_offset + 16u);
  const Frame before = frame;
  const auto wrong = test::wrong_checksums(before);
  const Socket source = source_of(packet), destination = destination_of(packet), other = stranger(packet);

  const auto towards_backend = ChecksumDelta::between(destination, other);
  rewrite_destination(frame.data(), packet, other, towards_backend);
  require(source_of(parse(frame)) == source && destination_of(parse(frame)) == other);
  require(test::wrong_checksums(frame) == wrong);
  rewrite_destination(frame.data(), packet, destination, towards_backend.reversed());
  require(frame == before);

  const auto towards_client = ChecksumDelta::between(source, other);
  rewrite_source(frame.data(), packet, other, towards_client);
  require(source_of(parse(frame)) == other && destination_of(parse(frame)) == destination);
  require(test::wrong_checksums(frame) == wrong);
  rewrite_source(frame.data(), packet, source, towards_client.reversed());
  require(frame == before);

  if (packet.ttl <= 1) return;
  decrement_ttl(frame.data(), packet);
  require(parse(frame).ttl == packet.ttl - 1 && test::wrong_checksums(frame) == wrong);
}

void check_rst(const ParsedPacket& packet, Frame frame) {
  const uint32_t bytes = turn_into_rst(frame.data(), packet);
  require(bytes <= frame.size());
  frame.resize(bytes);
  const ParsedPacket rst = parse(frame);
  require(rst.result == ParseResult::kFlowPacket && rst.tcp_flags == kTcpRst && rst.payload_bytes == 0);
  require(source_of(rst) == destination_of(packet) && destination_of(rst) == source_of(packet));
  require(test::wrong_checksums(frame).empty());
}

void check_refusal(const ParsedPacket& packet, Frame frame) {
  const uint32_t bytes = turn_into_refusal(frame.data(), packet);
  require(bytes <= frame.size());
  frame.resize(bytes);
  const ParsedPacket rst = parse(frame);
  require(rst.result == ParseResult::kFlowPacket && (rst.tcp_flags & ~kTcpAck) == kTcpRst);
  require(source_of(rst) == destination_of(packet) && destination_of(rst) == source_of(packet));
  require(test::wrong_checksums(frame).empty());
}

// The error quotes the packet, so its own parsed form names the packet's ends.
void check_port_unreachable(const ParsedPacket& packet, Frame frame) {
  frame.resize(frame.size() + kPortUnreachableGrowth);
  const uint32_t bytes = turn_into_port_unreachable(frame.data(), packet);
  require(bytes <= frame.size() && bytes <= 14 + 1280);
  frame.resize(bytes);
  for (const std::string& wrong : test::wrong_checksums(frame)) require(wrong.starts_with("quoted"));
  const ParsedPacket error = parse(frame);
  if (error.result == ParseResult::kIcmpError)  // with long options, the quote may end before the ports
    require(source_of(error) == source_of(packet) && destination_of(error) == destination_of(packet));
}

void check_icmp_error(const ParsedPacket& packet, Frame frame) {
  const size_t address_bytes = packet.is_v4 ? 4 : 16;
  const size_t outer_source = packet.l3_offset + (packet.is_v4 ? 12u : 8u);
  const size_t outer_destination = outer_source + address_bytes;
  const Socket source = source_of(packet), destination = destination_of(packet), other = stranger(packet);
  // The inverse rewrite writes the quoted socket's address into the outer header, so the header must hold
  // that address before.
  std::memcpy(frame.data() + outer_destination, packet.is_v4 ? packet.source.v4_bytes() : packet.source.bytes,
              address_bytes);
  make_zero_unique(frame, packet.l4_offset + 2u);
  if (packet.is_v4) make_zero_unique(frame, packet.l3_offset + 10u);
  if (packet.is_v4) make_zero_unique(frame, packet.quoted_l3_offset + 10u);
  if (packet.protocol == kProtocolTcp && packet.quoted_l4_bytes >= 18)
    make_zero_unique(frame, packet.quoted_l4_offset + 16u);
  const Frame before = frame;
  const auto wrong = test::wrong_checksums(before);

  rewrite_icmp_to_backend(frame.data(), packet, source, other);
  require(source_of(parse(frame)) == other && destination_of(parse(frame)) == destination);
  require(test::wrong_checksums(frame) == wrong);
  rewrite_icmp_to_backend(frame.data(), packet, other, source);
  require(frame == before);

  const uint8_t* sender_bytes = frame.data() + outer_source;
  const IpAddress sender = packet.is_v4 ? IpAddress::from_v4(sender_bytes) : IpAddress::from_v6(sender_bytes);
  rewrite_icmp_to_client(frame.data(), packet, other, destination);
  require(source_of(parse(frame)) == source && destination_of(parse(frame)) == other);
  require(test::wrong_checksums(frame) == wrong);
  rewrite_icmp_to_client(frame.data(), packet, destination, other);
  require(frame == before || sender == other.address);  // a router with that address counts as the backend
}

}  // namespace
}  // namespace teal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace teal;
  if (size > 65600) return 0;
  const ParsedPacket packet = teal::parse(data, static_cast<uint32_t>(size));
  require(test::plain_agrees(data, static_cast<uint32_t>(size), packet));
  const bool flow = packet.result == ParseResult::kFlowPacket;
  if (!flow && packet.result != ParseResult::kIcmpError) return 0;
  const Frame frame(data, data + size);
  check_offsets(packet, frame);
  if (flow) {
    check_flow_packet(packet, frame);
    if (packet.tcp_flags & kTcpAck) check_rst(packet, frame);
    if (packet.protocol == kProtocolUdp)
      check_port_unreachable(packet, frame);
    else if ((packet.tcp_flags & kTcpRst) == 0)
      check_refusal(packet, frame);
  } else {
    check_icmp_error(packet, frame);
  }
  return 0;
}
