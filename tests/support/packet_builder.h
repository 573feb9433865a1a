// SPDX-License-Identifier: Apache-2.0
//
// Frames for tests, from the outside in:
//
//   auto syn = PacketBuilder().ipv4("198.18.1.101", "198.18.0.10").tcp(40000, 80, kTcpSyn).build();
//   auto error = PacketBuilder().ipv4("198.18.1.1", "198.18.0.10").icmp_unreachable(reply, 28).build();
//
// build() fills in lengths, protocol numbers and checksums, each by full computation. To break a packet:
//
//   poke(layer, offset, bytes)    overwrites bytes of a header before the checksums are computed: the field
//                                 is wrong, the checksums are right
//   wrong_checksum(layer, error)  xors `error` into the finished checksum
//
// A test makes any other change in the bytes that build() returns.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/packet/ip_address.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/rewrite.h"
#include "tests/support/plain_checksum.h"

namespace teal::test {

using Frame = std::vector<uint8_t>;

inline constexpr MacAddress kClientMac{{0x02, 0, 0, 0, 0, 0x01}};
inline constexpr MacAddress kEdgeMac{{0x02, 0, 0, 0, 0, 0x02}};

enum class Layer : uint8_t { kEthernet, kIp, kTransport };

class PacketBuilder {
 public:
  // The default is from kClientMac to kEdgeMac.
  PacketBuilder& eth(const MacAddress& destination, const MacAddress& source);
  // The default is the type of the IP version, or 0x88b5 (experiments) without IP.
  PacketBuilder& ether_type(uint16_t type);
  PacketBuilder& vlan(uint16_t id);

  // Addresses as text ("198.18.0.10", "fd18::10") or parsed. A text that is not an address ends the test
  // program.
  PacketBuilder& ipv4(std::string_view source, std::string_view destination);
  PacketBuilder& ipv6(std::string_view source, std::string_view destination);
  PacketBuilder& ip(const IpAddress& source,
                    const IpAddress& destination);  // the version follows from `source`
  PacketBuilder& ttl(uint8_t hops);
  PacketBuilder& protocol(uint8_t number);  // in place of the number that follows from the transport
  PacketBuilder& ipv4_options(std::vector<uint8_t> options);  // padded with 0 to 4 bytes
  PacketBuilder& fragment(uint16_t offset_bytes, bool more,
                          uint32_t id = 1);                               // IPv6: adds a fragment header here
  PacketBuilder& hop_by_hop(std::vector<uint8_t> options = {});           // padded with PadN to 8 bytes
  PacketBuilder& destination_options(std::vector<uint8_t> options = {});  // the same
  PacketBuilder& routing(uint8_t type = 0, uint8_t segments_left = 0, uint8_t addresses = 0);
  PacketBuilder& extension(uint8_t number, std::vector<uint8_t> header);  // byte 0 becomes the next header

  PacketBuilder& tcp(uint16_t source_port, uint16_t destination_port, uint8_t flags = kTcpAck);
  PacketBuilder& seq(uint32_t number);
  PacketBuilder& ack(uint32_t number);
  PacketBuilder& tcp_options(std::vector<uint8_t> options);  // padded with 0 to 4 bytes
  PacketBuilder& udp(uint16_t source_port, uint16_t destination_port);
  PacketBuilder& no_udp_checksum();
  PacketBuilder& icmp(uint8_t type, uint8_t code, uint32_t rest = 0);  // ICMP or ICMPv6 as the version is
  // An ICMP error that quotes at most `quoted_bytes` of the IP packet in `frame`. The frame has an Ethernet
  // header and may be padded.
  PacketBuilder& icmp_error(uint8_t type, uint8_t code, std::span<const uint8_t> frame,
                            size_t quoted_bytes = 1280);
  PacketBuilder& icmp_unreachable(std::span<const uint8_t> frame,
                                  size_t quoted_bytes = 1280);  // port unreachable

  PacketBuilder& payload(std::string_view text);
  PacketBuilder& payload(std::vector<uint8_t> bytes);
  PacketBuilder& payload_bytes(size_t count);  // 0, 1, 2, ...
  PacketBuilder& pad_to(size_t frame_bytes);   // Ethernet padding with 0, outside of the IP length

  PacketBuilder& poke(Layer layer, size_t offset, std::initializer_list<uint8_t> bytes);
  PacketBuilder& wrong_checksum(Layer layer, uint16_t error = 0x0101);

  Frame build() const;

 private:
  struct Extension {
    uint8_t number;
    std::vector<uint8_t> header;
  };
  struct Poke {
    Layer layer;
    size_t offset;
    std::vector<uint8_t> bytes;
  };

  std::vector<uint8_t> ethernet_header() const;
  std::vector<uint8_t> ip_header(size_t transport_bytes) const;
  void apply_pokes(Layer layer, std::vector<uint8_t>& header) const;
  void fill_checksum(std::vector<uint8_t>& segment) const;
  std::span<const uint8_t> wire(const IpAddress& address) const;

  MacAddress destination_mac_ = kEdgeMac;
  MacAddress source_mac_ = kClientMac;
  uint16_t ether_type_ = 0;
  int vlan_ = -1;
  int version_ = 0;  // 4, 6 or none
  IpAddress source_;
  IpAddress destination_;
  uint8_t ttl_ = 64;
  int forced_protocol_ = -1;
  int protocol_ = 59;  // no next header (RFC 8200, 4.7)
  uint16_t fragment_word_ = 0;
  uint32_t ip_id_ = 1;
  std::vector<uint8_t> ipv4_options_;
  std::vector<Extension> extensions_;
  std::vector<uint8_t> transport_;  // its header, checksum 0
  std::vector<uint8_t> payload_;
  bool udp_checksum_ = true;
  size_t pad_to_ = 0;
  std::vector<Poke> pokes_;
  uint16_t ip_error_ = 0;
  uint16_t transport_error_ = 0;
};

}  // namespace teal::test
