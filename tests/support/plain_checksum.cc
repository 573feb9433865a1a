// SPDX-License-Identifier: Apache-2.0
#include "tests/support/plain_checksum.h"

namespace teal::test {
namespace {

using Bytes = std::span<const uint8_t>;

unsigned word_at(Bytes bytes, size_t at) {
  return bytes[at] * 256u + bytes[at + 1];
}

void check_packet(Bytes packet, const std::string& prefix, std::vector<std::string>& wrong);

void check_segment(Bytes source, Bytes destination, uint8_t protocol, Bytes segment,
                   const std::string& prefix, std::vector<std::string>& wrong) {
  const bool v6 = source.size() == 16;
  if (protocol == 6 && segment.size() >= 20) {
    if (plain_transport_checksum(source, destination, 6, segment) != 0) wrong.push_back(prefix + "tcp");
  } else if (protocol == 17 && segment.size() >= 8) {
    const unsigned udp_bytes = word_at(segment, 4);
    if (udp_bytes < 8 || udp_bytes > segment.size()) return;
    const bool none = word_at(segment, 6) == 0;
    if (none ? v6 : plain_transport_checksum(source, destination, 17, segment.first(udp_bytes)) != 0)
      wrong.push_back(prefix + "udp");
  } else if (protocol == (v6 ? 58 : 1) && segment.size() >= 8) {
    const unsigned sum =
        v6 ? plain_transport_checksum(source, destination, 58, segment) : plain_checksum(segment);
    if (sum != 0) wrong.push_back(prefix + "icmp");
    const unsigned type = segment[0];
    const bool error = v6 ? type >= 1 && type <= 4 : type == 3 || type == 4 || type == 11 || type == 12;
    if (error && prefix.empty()) check_packet(segment.subspan(8), "quoted ", wrong);
  }
}

void check_ipv4(Bytes packet, const std::string& prefix, std::vector<std::string>& wrong) {
  if (packet.size() < 20) return;
  const size_t header_bytes = (packet[0] & 15) * 4u;
  const size_t total_bytes = word_at(packet, 2);
  if (header_bytes < 20 || header_bytes > packet.size()) return;
  if (plain_checksum(packet.first(header_bytes)) != 0) wrong.push_back(prefix + "ip");
  const bool fragment = (word_at(packet, 6) & 0x3fff) != 0;
  if (fragment || total_bytes < header_bytes || total_bytes > packet.size()) return;
  check_segment(packet.subspan(12, 4), packet.subspan(16, 4), packet[9],
                packet.subspan(header_bytes, total_bytes - header_bytes), prefix, wrong);
}

void check_ipv6(Bytes packet, const std::string& prefix, std::vector<std::string>& wrong) {
  if (packet.size() < 40 || packet.size() - 40 < word_at(packet, 4)) return;
  uint8_t next_header = packet[6];
  Bytes rest = packet.subspan(40, word_at(packet, 4));
  for (int count = 0; count < 6; ++count) {
    if (next_header != 0 && next_header != 43 && next_header != 44 && next_header != 60) break;
    if (rest.size() < 8) return;
    if (next_header == 43 && rest[3] != 0) return;                      // not the final destination
    if (next_header == 44 && (word_at(rest, 2) & 0xfff9) != 0) return;  // a fragment
    const size_t header_bytes = next_header == 44 ? 8 : 8 + 8u * rest[1];
    if (rest.size() < header_bytes) return;
    next_header = rest[0];
    rest = rest.subspan(header_bytes);
  }
  check_segment(packet.subspan(8, 16), packet.subspan(24, 16), next_header, rest, prefix, wrong);
}

void check_packet(Bytes packet, const std::string& prefix, std::vector<std::string>& wrong) {
  if (packet.empty()) return;
  if (packet[0] >> 4 == 4) check_ipv4(packet, prefix, wrong);
  if (packet[0] >> 4 == 6) check_ipv6(packet, prefix, wrong);
}

}  // namespace

uint16_t plain_checksum(Bytes bytes) {
  unsigned sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += bytes[i] * 256u;
    if (i + 1 < bytes.size()) sum += bytes[i + 1];
    if (sum > 0xffff) sum = sum - 0x10000 + 1;
  }
  return static_cast<uint16_t>(0xffff - sum);
}

uint16_t plain_transport_checksum(Bytes source, Bytes destination, uint8_t protocol, Bytes segment) {
  std::vector<uint8_t> all(source.begin(), source.end());
  all.insert(all.end(), destination.begin(), destination.end());
  // IPv4 has 0, protocol, length 2; IPv6 has length 4, 0 0 0, protocol: the same sum.
  const size_t length = segment.size();
  for (const size_t byte : {length >> 24, length >> 16, length >> 8, length, size_t{0}, size_t{protocol}})
    all.push_back(static_cast<uint8_t>(byte));
  all.insert(all.end(), segment.begin(), segment.end());
  return plain_checksum(all);
}

std::vector<std::string> wrong_checksums(Bytes frame) {
  std::vector<std::string> wrong;
  if (frame.size() < 14) return wrong;
  const unsigned type = word_at(frame, 12);
  const size_t l3 = type == 0x8100 ? 18 : 14;
  if (frame.size() < l3) return wrong;
  const unsigned inner = l3 == 18 ? word_at(frame, 16) : type;
  if (inner == 0x0800 || inner == 0x86dd) check_packet(frame.subspan(l3), "", wrong);
  return wrong;
}

}  // namespace teal::test
