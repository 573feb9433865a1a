// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/packet/big_endian.h"

namespace teal {

// IPv4 and IPv6 by one 16-byte type: IPv4 is mapped, ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). Bytes are in network
// order.
struct IpAddress {
  static constexpr uint64_t kMappedPrefix = 0xffff0000;  // bytes 8 to 11 as a native load (x86-64)

  alignas(8) uint8_t bytes[16] = {};

  // By whole words: what was stored byte by byte is slow to load as a word right after.
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
  // Text as inet_pton takes it, "198.18.0.10" or "fd18::10"; nothing if it is neither.
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

// Do the first `prefix_bits` of the two agree? For IPv4 the bits are those of the mapped form: 96 + the IPv4
// prefix length.
bool same_prefix(const IpAddress& a, const IpAddress& b, unsigned prefix_bits);

inline constexpr uint8_t kProtocolTcp = 6;
inline constexpr uint8_t kProtocolUdp = 17;

// An address, port and protocol: what a VIP or a backend listens on.
struct Socket {
  IpAddress address;
  Be16 port;
  uint8_t protocol = 0;

  bool is(const IpAddress& other, Be16 other_port, uint8_t other_protocol) const {
    return address == other && port == other_port && protocol == other_protocol;
  }
  friend bool operator==(const Socket&, const Socket&) = default;
};

// "198.18.0.10:80" or "[fd18::10]:80"; nothing if it is neither, or the port is not 1..65535. The protocol
// stays 0.
std::optional<Socket> parse_socket(std::string_view text);
std::string to_string(const Socket& socket);  // the same form; the protocol is not shown

}  // namespace teal
