// SPDX-License-Identifier: Apache-2.0
#include "tests/support/packet_builder.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace teal::test {
namespace {

constexpr uint8_t kIcmp = 1;
constexpr uint8_t kIcmp6 = 58;
constexpr uint8_t kFragmentHeader = 44;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "PacketBuilder: %s\n", what.c_str());
  std::abort();
}

IpAddress address(std::string_view text, bool v4) {
  const auto parsed = IpAddress::parse(text);
  if (!parsed || parsed->is_v4() != v4)
    fail("\"" + std::string(text) + "\" is no " + (v4 ? "IPv4" : "IPv6") + " address");
  return *parsed;
}

void put16(std::vector<uint8_t>& bytes, size_t at, size_t value) {
  bytes.at(at) = static_cast<uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<uint8_t>(value);
}

void put32(std::vector<uint8_t>& bytes, size_t at, uint32_t value) {
  put16(bytes, at, value >> 16);
  put16(bytes, at + 2, value & 0xffff);
}

void append(std::vector<uint8_t>& bytes, std::span<const uint8_t> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

std::vector<uint8_t> padded(std::vector<uint8_t> bytes, size_t multiple) {
  while (bytes.size() % multiple != 0) bytes.push_back(0);
  return bytes;
}

// Next header, length, options, then Pad1 or PadN (RFC 8200, 4.2).
std::vector<uint8_t> options_header(const std::vector<uint8_t>& options) {
  std::vector<uint8_t> header = {0, 0};
  append(header, options);
  const size_t missing = (8 - header.size() % 8) % 8;
  if (missing == 1) header.push_back(0);
  if (missing >= 2) {
    header.push_back(1);
    header.push_back(static_cast<uint8_t>(missing - 2));
  }
  header = padded(std::move(header), 8);
  header[1] = static_cast<uint8_t>(header.size() / 8 - 1);
  return header;
}

}  // namespace

PacketBuilder& PacketBuilder::eth(const MacAddress& destination, const MacAddress& source) {
  destination_mac_ = destination;
  source_mac_ = source;
  return *this;
}

PacketBuilder& PacketBuilder::ether_type(uint16_t type) {
  ether_type_ = type;
  return *this;
}

PacketBuilder& PacketBuilder::vlan(uint16_t id) {
  vlan_ = id;
  return *this;
}

PacketBuilder& PacketBuilder::ipv4(std::string_view source, std::string_view destination) {
  return ip(address(source, true), address(destination, true));
}

PacketBuilder& PacketBuilder::ipv6(std::string_view source, std::string_view destination) {
  return ip(address(source, false), address(destination, false));
}

PacketBuilder& PacketBuilder::ip(const IpAddress& source, const IpAddress& destination) {
  if (source.is_v4() != destination.is_v4()) fail("addresses of two families");
  version_ = source.is_v4() ? 4 : 6;
  source_ = source;
  destination_ = destination;
  return *this;
}

PacketBuilder& PacketBuilder::ttl(uint8_t hops) {
  ttl_ = hops;
  return *this;
}

PacketBuilder& PacketBuilder::protocol(uint8_t number) {
  forced_protocol_ = number;
  return *this;
}

PacketBuilder& PacketBuilder::ipv4_options(std::vector<uint8_t> options) {
  ipv4_options_ = padded(std::move(options), 4);
  return *this;
}

PacketBuilder& PacketBuilder::fragment(uint16_t offset_bytes, bool more, uint32_t id) {
  if (offset_bytes % 8 != 0) fail("a fragment offset is a multiple of 8");
  if (version_ == 4) {
    fragment_word_ = static_cast<uint16_t>(offset_bytes / 8 | (more ? 0x2000 : 0));
    ip_id_ = id;
    return *this;
  }
  std::vector<uint8_t> header(8);
  put16(header, 2, offset_bytes | (more ? 1u : 0u));
  put32(header, 4, id);
  return extension(kFragmentHeader, std::move(header));
}

PacketBuilder& PacketBuilder::hop_by_hop(std::vector<uint8_t> options) {
  return extension(0, options_header(options));
}

PacketBuilder& PacketBuilder::destination_options(std::vector<uint8_t> options) {
  return extension(60, options_header(options));
}

PacketBuilder& PacketBuilder::routing(uint8_t type, uint8_t segments_left, uint8_t addresses) {
  std::vector<uint8_t> header(8 + 16u * addresses);
  header[1] = static_cast<uint8_t>(2 * addresses);
  header[2] = type;
  header[3] = segments_left;
  return extension(43, std::move(header));
}

PacketBuilder& PacketBuilder::extension(uint8_t number, std::vector<uint8_t> header) {
  if (version_ != 6) fail("extension headers are IPv6's");
  extensions_.push_back({number, std::move(header)});
  return *this;
}

PacketBuilder& PacketBuilder::tcp(uint16_t source_port, uint16_t destination_port, uint8_t flags) {
  protocol_ = kProtocolTcp;
  transport_.assign(20, 0);
  put16(transport_, 0, source_port);
  put16(transport_, 2, destination_port);
  transport_[12] = 5 << 4;
  transport_[13] = flags;
  put16(transport_, 14, 65535);  // window
  return *this;
}

PacketBuilder& PacketBuilder::seq(uint32_t number) {
  put32(transport_, 4, number);
  return *this;
}

PacketBuilder& PacketBuilder::ack(uint32_t number) {
  put32(transport_, 8, number);
  return *this;
}

PacketBuilder& PacketBuilder::tcp_options(std::vector<uint8_t> options) {
  append(transport_, padded(std::move(options), 4));
  transport_.at(12) = static_cast<uint8_t>(transport_.size() / 4 << 4);
  return *this;
}

PacketBuilder& PacketBuilder::udp(uint16_t source_port, uint16_t destination_port) {
  protocol_ = kProtocolUdp;
  transport_.assign(8, 0);
  put16(transport_, 0, source_port);
  put16(transport_, 2, destination_port);
  return *this;
}

PacketBuilder& PacketBuilder::no_udp_checksum() {
  udp_checksum_ = false;
  return *this;
}

PacketBuilder& PacketBuilder::icmp(uint8_t type, uint8_t code, uint32_t rest) {
  if (version_ == 0) fail("icmp() follows ipv4() or ipv6()");
  protocol_ = version_ == 4 ? kIcmp : kIcmp6;
  transport_ = {type, code, 0, 0, 0, 0, 0, 0};
  put32(transport_, 4, rest);
  return *this;
}

PacketBuilder& PacketBuilder::icmp_error(uint8_t type, uint8_t code, std::span<const uint8_t> frame,
                                         size_t quoted_bytes) {
  if (frame.size() < 20) fail("nothing to quote");
  const auto ip_packet = frame.subspan(14);
  const size_t ip_bytes =
      ip_packet[0] >> 4 == 4 ? ip_packet[2] * 256u + ip_packet[3] : 40 + ip_packet[4] * 256u + ip_packet[5];
  const auto quoted = ip_packet.first(std::min({quoted_bytes, ip_bytes, ip_packet.size()}));
  icmp(type, code);
  payload_.assign(quoted.begin(), quoted.end());
  return *this;
}

PacketBuilder& PacketBuilder::icmp_unreachable(std::span<const uint8_t> frame, size_t quoted_bytes) {
  return version_ == 4 ? icmp_error(3, 3, frame, quoted_bytes) : icmp_error(1, 4, frame, quoted_bytes);
}

PacketBuilder& PacketBuilder::payload(std::string_view text) {
  payload_.assign(text.begin(), text.end());
  return *this;
}

PacketBuilder& PacketBuilder::payload(std::vector<uint8_t> bytes) {
  payload_ = std::move(bytes);
  return *this;
}

PacketBuilder& PacketBuilder::payload_bytes(size_t count) {
  payload_.resize(count);
  for (size_t i = 0; i < count; ++i) payload_[i] = static_cast<uint8_t>(i);
  return *this;
}

PacketBuilder& PacketBuilder::pad_to(size_t frame_bytes) {
  pad_to_ = frame_bytes;
  return *this;
}

PacketBuilder& PacketBuilder::poke(Layer layer, size_t offset, std::initializer_list<uint8_t> bytes) {
  pokes_.push_back({layer, offset, bytes});
  return *this;
}

PacketBuilder& PacketBuilder::wrong_checksum(Layer layer, uint16_t error) {
  (layer == Layer::kIp ? ip_error_ : transport_error_) = error;
  return *this;
}

void PacketBuilder::apply_pokes(Layer layer, std::vector<uint8_t>& header) const {
  for (const Poke& poke : pokes_) {
    if (poke.layer != layer) continue;
    for (size_t i = 0; i < poke.bytes.size(); ++i) header.at(poke.offset + i) = poke.bytes[i];
  }
}

std::span<const uint8_t> PacketBuilder::wire(const IpAddress& address) const {
  return version_ == 4 ? std::span(address.bytes).subspan(12) : std::span(address.bytes);
}

std::vector<uint8_t> PacketBuilder::ethernet_header() const {
  std::vector<uint8_t> header;
  append(header, destination_mac_.bytes);
  append(header, source_mac_.bytes);
  const uint16_t implied = version_ == 4 ? 0x0800 : version_ == 6 ? 0x86dd : 0x88b5;
  const uint16_t type = ether_type_ != 0 ? ether_type_ : implied;
  header.resize(vlan_ < 0 ? 14 : 18);
  if (vlan_ >= 0) {
    put16(header, 12, 0x8100);
    put16(header, 14, static_cast<size_t>(vlan_));
  }
  put16(header, header.size() - 2, type);
  apply_pokes(Layer::kEthernet, header);
  return header;
}

std::vector<uint8_t> PacketBuilder::ip_header(size_t transport_bytes) const {
  const auto last_protocol = static_cast<uint8_t>(forced_protocol_ >= 0 ? forced_protocol_ : protocol_);
  std::vector<uint8_t> header;
  if (version_ == 4) {
    header.resize(12);
    append(header, wire(source_));
    append(header, wire(destination_));
    append(header, ipv4_options_);
    header[0] = static_cast<uint8_t>(0x40 | header.size() / 4);
    put16(header, 2, header.size() + transport_bytes);
    put16(header, 4, ip_id_ & 0xffff);
    put16(header, 6, fragment_word_);
    header[8] = ttl_;
    header[9] = last_protocol;
    apply_pokes(Layer::kIp, header);
    put16(header, 10, plain_checksum(header) ^ ip_error_);
  } else if (version_ == 6) {
    header = {0x60, 0, 0, 0, 0, 0, last_protocol, ttl_};
    append(header, wire(source_));
    append(header, wire(destination_));
    size_t next_header_at = 6;
    for (const Extension& extension : extensions_) {
      header[next_header_at] = extension.number;
      next_header_at = header.size();
      append(header, extension.header);
      header[next_header_at] = last_protocol;
    }
    put16(header, 4, header.size() - 40 + transport_bytes);
    apply_pokes(Layer::kIp, header);
  }
  return header;
}

void PacketBuilder::fill_checksum(std::vector<uint8_t>& segment) const {
  const auto number = static_cast<uint8_t>(protocol_);
  const size_t at = protocol_ == kProtocolTcp ? 16 : protocol_ == kProtocolUdp ? 6 : 2;
  if (protocol_ == kProtocolUdp && !udp_checksum_) return;
  uint16_t checksum = protocol_ == kIcmp
                          ? plain_checksum(segment)
                          : plain_transport_checksum(wire(source_), wire(destination_), number, segment);
  if (protocol_ == kProtocolUdp && checksum == 0) checksum = 0xffff;
  put16(segment, at, checksum ^ transport_error_);
}

Frame PacketBuilder::build() const {
  std::vector<uint8_t> segment = transport_;
  append(segment, payload_);
  if (!transport_.empty()) {
    if (protocol_ == kProtocolUdp) put16(segment, 4, segment.size());
    apply_pokes(Layer::kTransport, segment);
    fill_checksum(segment);
  }
  Frame frame = ethernet_header();
  append(frame, ip_header(segment.size()));
  append(frame, segment);
  if (frame.size() < pad_to_) frame.resize(pad_to_);
  return frame;
}

}  // namespace teal::test
