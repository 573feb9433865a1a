// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/tcp_segment.h"

#include <cstring>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/ip_header.h"

namespace teal {
namespace {

constexpr uint32_t kTcpSequence = 4;  // from the first byte of the TCP header
constexpr uint32_t kTcpAcknowledgement = 8;

template <typename T>
void store(uint8_t* at, const T& value) {
  std::memcpy(at, &value, sizeof(value));
}

Be32 number_at(const uint8_t* at) {
  Be32 number;
  std::memcpy(&number.raw, at, 4);
  return number;
}

// The segment that answers `packet`, with its ends exchanged.
TcpSegment answer_to(const ParsedPacket& packet) {
  return {.source = {packet.destination, packet.destination_port, kProtocolTcp},
          .destination = {packet.source, packet.source_port, kProtocolTcp},
          .sequence = {},
          .acknowledgement = {},
          .flags = kTcpRst};
}

}  // namespace

Be32 sequence_of(const uint8_t* frame, const PacketShape& packet) {
  return number_at(frame + packet.l4_offset + kTcpSequence);
}

Be32 acknowledgement_of(const uint8_t* frame, const PacketShape& packet) {
  return number_at(frame + packet.l4_offset + kTcpAcknowledgement);
}

uint32_t end_of_segment(const uint8_t* frame, const PacketShape& packet) {
  const uint32_t syn = packet.tcp_flags & kTcpSyn ? 1 : 0;
  const uint32_t fin = packet.tcp_flags & kTcpFin ? 1 : 0;
  return sequence_of(frame, packet).host() + syn + packet.payload_bytes + fin;
}

uint32_t write_tcp_segment(uint8_t* frame, const TcpSegment& segment) {
  const uint32_t l4_offset =
      write_ip_header(frame, segment.source.address, segment.destination.address, kProtocolTcp, kTcpBytes);
  uint8_t* l4 = frame + l4_offset;
  std::memset(l4, 0, kTcpBytes);
  store(l4, segment.source.port);
  store(l4 + 2, segment.destination.port);
  store(l4 + kTcpSequence, segment.sequence);
  store(l4 + kTcpAcknowledgement, segment.acknowledgement);
  l4[12] = kTcpBytes / 4 << 4;
  l4[13] = segment.flags;
  const uint32_t sum = pseudo_header_sum(frame, kProtocolTcp, kTcpBytes);
  store(l4 + 16, static_cast<uint16_t>(~fold(ones_complement_sum(l4, kTcpBytes, sum))));
  return l4_offset + kTcpBytes;
}

uint32_t turn_into_rst(uint8_t* frame, const ParsedPacket& packet) {
  TcpSegment rst = answer_to(packet);
  rst.sequence = acknowledgement_of(frame, packet);
  return write_tcp_segment(frame, rst);
}

uint32_t turn_into_refusal(uint8_t* frame, const ParsedPacket& packet) {
  if (packet.tcp_flags & kTcpAck) return turn_into_rst(frame, packet);
  TcpSegment rst = answer_to(packet);
  rst.acknowledgement = Be32::from_host(end_of_segment(frame, packet));
  rst.flags |= kTcpAck;
  return write_tcp_segment(frame, rst);
}

}  // namespace teal
