// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/ip_prefix.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace teal {

namespace {

constexpr char kPrefixForm[] = "an address or a network such as \"198.18.1.0/24\" or \"fd18:1::/64\"";

std::string in_marks(std::string_view text) {
  return '"' + std::string(text) + '"';
}

// Parses a prefix length in plain digits.
std::optional<uint8_t> parse_length(std::string_view text, uint8_t most) {
  uint8_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || length > most)
    return std::nullopt;
  return length;
}

IpAddress masked(const IpAddress& address, const IpAddress& mask) {
  return IpAddress::from_words(address.word(0) & mask.word(0), address.word(1) & mask.word(1));
}

}  // namespace

IpAddress IpPrefix::mask() const {
  IpAddress mask;
  std::fill_n(mask.bytes, bits / 8, uint8_t{0xff});
  if (bits % 8 != 0) mask.bytes[bits / 8] = static_cast<uint8_t>(0xff << (8 - bits % 8));
  return mask;
}

tl::expected<IpPrefix, std::string> parse_prefix(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return tl::unexpected(in_marks(text) + " is not " + kPrefixForm);
  IpPrefix prefix{*address};
  if (slash != std::string_view::npos) {
    const uint8_t most = address->is_v4() ? 32 : 128;
    const auto length = parse_length(text.substr(slash + 1), most);
    if (!length)
      return tl::unexpected(in_marks(text) + " has no prefix length from 0 to " + std::to_string(most));
    prefix.bits = static_cast<uint8_t>(*length + (address->is_v4() ? kMappedBits : 0));
  }
  prefix.address = masked(*address, prefix.mask());
  if (prefix.address != *address)
    return tl::unexpected(in_marks(text) + " has bits behind its prefix length, expected " +
                          in_marks(to_string(prefix)));
  return prefix;
}

std::string to_string(const IpPrefix& prefix) {
  return prefix.address.to_string() + "/" + std::to_string(prefix.bits - (prefix.is_v4() ? kMappedBits : 0));
}

std::string to_text(const std::vector<IpPrefix>& prefixes) {
  std::string text;
  for (const IpPrefix& prefix : prefixes) text += (text.empty() ? "" : " ") + to_string(prefix);
  return text;
}

tl::expected<std::vector<IpPrefix>, std::string> parse_prefixes(std::string_view text) {
  std::vector<IpPrefix> prefixes;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const auto prefix = parse_prefix(text.substr(0, space));
    if (!prefix) return tl::unexpected(prefix.error());
    prefixes.push_back(*prefix);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  return prefixes;
}

}  // namespace teal
