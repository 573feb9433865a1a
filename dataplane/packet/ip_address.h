// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/packet/big_endian.h"

namespace teal {

// An IPv4 or IPv6 address in 16 bytes, in network order. An IPv4 address is stored in its mapped form,
// ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
struct IpAddress {
  static constexpr uint64_t kMappedPrefix = 0xffff0000;  // bytes 8 to 11 as a native load (x86-64)

  alignas(8) uint8_t bytes[16] = {};

  // The addresses are stored as whole words, because a load of a word right after stores of its bytes stalls
  // (no store forwarding).
  static IpAddress from_v4(const void* four_bytes) {
    uint32_t v4;
    std::memcpy(&v4, four_bytes, 4);
    const uint64_t mapped = kMappedPrefix | uint64_t{v4} << 32;
    IpAddress address;
    std::memcpy(address.bytes + 8, &mapped, 8);
    return address;
  }
  static IpAddress from_v6(const void* sixteen_bytes) {
    IpAddress address;
    std::memcpy(address.bytes, sixteen_bytes, 16);
    return address;
  }
  static IpAddress from_words(uint64_t word0, uint64_t word1) {
    IpAddress address;
    std::memcpy(address.bytes, &word0, 8);
    std::memcpy(address.bytes + 8, &word1, 8);
    return address;
  }
  // Parses text as inet_pton does, "198.18.0.10" or "fd18::10". Returns nothing for any other text.
  static std::optional<IpAddress> parse(std::string_view text);
  std::string to_string() const;

  uint64_t word(int index) const {  // index 0 or 1; native load, for hashing and comparing only
    uint64_t value;
    std::memcpy(&value, bytes + 8 * index, 8);
    return value;
  }
  bool is_v4() const { return word(0) == 0 && (word(1) & 0xffffffff) == kMappedPrefix; }
  const uint8_t* v4_bytes() const { return bytes + 12; }

  friend bool operator==(const IpAddress& a, const IpAddress& b) {
    return a.word(0) == b.word(0) && a.word(1) == b.word(1);
  }
};
static_assert(sizeof(IpAddress) == 16);

// Returns true if the first `prefix_bits` bits of both addresses are equal. An IPv4 prefix counts in the
// mapped form: 96 + the IPv4 prefix length.
bool same_prefix(const IpAddress& a, const IpAddress& b, unsigned prefix_bits);

// Returns true if no packet that a router may forward has this source (RFC 1812, 5.3.7; RFC 4291, 2.5): an
// address that is unspecified, loopback, multicast, reserved (240.0.0.0/4) or link-local (IPv6).
inline bool is_martian(const IpAddress& address) {
  if (address.is_v4()) {
    const uint8_t first = address.v4_bytes()[0];
    return first == 0 || first == 127 || first >= 224;
  }
  const bool in_front_of_mapped = address.word(0) == 0 && (address.word(1) & 0xffff'ffff) == 0;  // ::, ::1
  return in_front_of_mapped || address.bytes[0] == 0xff ||
         (address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80);
}

inline constexpr uint8_t kProtocolTcp = 6;
inline constexpr uint8_t kProtocolUdp = 17;

// An address, port and protocol, of a VIP or of a backend.
struct Socket {
  IpAddress address;
  Be16 port;
  uint8_t protocol = 0;

  bool is(const IpAddress& other, Be16 other_port, uint8_t other_protocol) const {
    return address == other && port == other_port && protocol == other_protocol;
  }
  friend bool operator==(const Socket&, const Socket&) = default;
};

// Parses "198.18.0.10:80" or "[fd18::10]:80". Returns nothing for any other text, or if the port is not in
// 1..65535. The protocol stays 0.
std::optional<Socket> parse_socket(std::string_view text);
std::string to_string(const Socket& socket);  // the same form, without the protocol

}  // namespace teal
