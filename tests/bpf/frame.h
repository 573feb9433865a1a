// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Builds frames from the inside out: eth(v4("198.18.1.101", "198.18.0.10", tcp(40000, 80))). Lengths are
// right unless a test changes them. Checksums are zero, as the steering program reads none.
#pragma once

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "bpf/steer_map.h"

namespace teal::frame {

using Bytes = std::vector<uint8_t>;

inline Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline Bytes be16(unsigned value) {
  return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

// The contents of an IP packet or of an extension header, and their protocol number.
struct Inner {
  uint8_t protocol;
  Bytes bytes;
};

inline Inner tcp(unsigned source_port, unsigned destination_port) {
  return {IPPROTO_TCP,
          be16(source_port) + be16(destination_port) + Bytes{0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2} + Bytes(6)};
}

inline Inner udp(unsigned source_port, unsigned destination_port, size_t payload_bytes = 4) {
  return {IPPROTO_UDP, be16(source_port) + be16(destination_port) +
                           be16(static_cast<unsigned>(8 + payload_bytes)) + Bytes(2 + payload_bytes)};
}

inline Inner icmp4(uint8_t type, const Bytes& quoted) {
  return {IPPROTO_ICMP, Bytes{type, 0} + Bytes(6) + quoted};
}
inline Inner icmp6(uint8_t type, const Bytes& quoted) {
  return {IPPROTO_ICMPV6, Bytes{type, 0} + Bytes(6) + quoted};
}

struct V4 {
  size_t option_bytes = 0;      // a multiple of 4
  uint16_t fragment_bytes = 0;  // the offset of this fragment, a multiple of 8
  bool more_fragments = false;
};

inline Bytes v4(const char* source, const char* destination, const Inner& inner, const V4& with = {}) {
  const size_t header_bytes = 20 + with.option_bytes;
  Bytes ip = Bytes{static_cast<uint8_t>(0x40 | header_bytes / 4), 0} +
             be16(static_cast<unsigned>(header_bytes + inner.bytes.size())) + be16(7) +
             be16((with.more_fragments ? 0x2000u : 0u) | with.fragment_bytes / 8u) +
             Bytes{64, inner.protocol, 0, 0} + Bytes(8) + Bytes(with.option_bytes, 1);
  inet_pton(AF_INET, source, ip.data() + 12);
  inet_pton(AF_INET, destination, ip.data() + 16);
  return ip + inner.bytes;
}

inline Bytes v6(const char* source, const char* destination, const Inner& inner) {
  Bytes ip = Bytes{0x60, 0, 0, 0} + be16(static_cast<unsigned>(inner.bytes.size())) +
             Bytes{inner.protocol, 64} + Bytes(32);
  inet_pton(AF_INET6, source, ip.data() + 8);
  inet_pton(AF_INET6, destination, ip.data() + 24);
  return ip + inner.bytes;
}

// Extension headers of IPv6, each around its contents. `units` counts units of 8 bytes after the first one.
inline Inner extension(uint8_t protocol, const Inner& inner, uint8_t units = 0, uint8_t segments_left = 0) {
  return {protocol, Bytes{inner.protocol, units, 0, segments_left} + Bytes(4 + 8u * units) + inner.bytes};
}
inline Inner hop_by_hop(const Inner& inner, uint8_t units = 0) {
  return extension(0, inner, units);
}
inline Inner destination_options(const Inner& inner, uint8_t units = 0) {
  return extension(60, inner, units);
}
inline Inner routing(const Inner& inner, uint8_t segments_left) {
  return extension(43, inner, 2, segments_left);
}
inline Inner fragment(const Inner& inner, unsigned fragment_bytes, bool more) {
  return {44, Bytes{inner.protocol, 0} + be16(fragment_bytes | (more ? 1 : 0)) + Bytes(4) + inner.bytes};
}

// The MAC address of the port that receives every frame, unless a test exchanges the destination by to_mac().
inline constexpr uint8_t kPortMac[6] = {2, 0, 0, 0, 0, 1};

inline Bytes eth_type(uint16_t type, const Bytes& payload) {
  return Bytes(kPortMac, kPortMac + 6) + Bytes{2, 0, 0, 0, 0, 2} + be16(type) + payload;
}
inline Bytes to_mac(Bytes in, std::initializer_list<uint8_t> mac) {
  std::copy(mac.begin(), mac.end(), in.begin());
  return in;
}
inline steer_mac port_mac() {
  steer_mac mac;
  std::memcpy(&mac, kPortMac, sizeof(mac));
  return mac;
}
inline Bytes eth(const Bytes& ip) {
  return eth_type(ip[0] >> 4 == 4 ? 0x0800 : 0x86dd, ip);
}

inline steer_address address(const char* text) {
  steer_address address = {};
  if (inet_pton(AF_INET, text, address.bytes + 12) == 1) {
    address.bytes[10] = address.bytes[11] = 0xff;
  } else {
    inet_pton(AF_INET6, text, address.bytes);
  }
  return address;
}

inline steer_socket socket(const char* text, uint16_t port, uint8_t protocol) {
  steer_socket socket = {};
  const steer_address of = address(text);
  std::memcpy(socket.address, of.bytes, sizeof(of.bytes));
  socket.port_be = htons(port);
  socket.protocol = protocol;
  return socket;
}

}  // namespace teal::frame
