// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/packet/ip_address.h"

namespace teal {

// The length of ::ffff:0:0/96, the prefix of mapped IPv4 addresses.
inline constexpr uint8_t kMappedBits = 96;

// A network has all addresses that begin with the first `bits` bits of `address`. Its other bits are 0.
// For IPv4, `bits` counts in the mapped form: 96 + the IPv4 prefix length.
struct IpPrefix {
  IpAddress address;
  uint8_t bits = 128;

  bool is_v4() const { return address.is_v4(); }
  IpAddress mask() const;

  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;
};

// Parses "198.18.1.0/24" or "fd18:1::/64"; an address alone is its own network. The error says what is wrong:
// "\"198.18.1.7/24\" has bits behind its prefix length, expected \"198.18.1.0/24\"".
tl::expected<IpPrefix, std::string> parse_prefix(std::string_view text);
std::string to_string(const IpPrefix& prefix);  // "198.18.1.0/24", "198.18.1.7/32"

// A list of networks, with spaces between them.
std::string to_text(const std::vector<IpPrefix>& prefixes);
tl::expected<std::vector<IpPrefix>, std::string> parse_prefixes(std::string_view text);

}  // namespace teal
