// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace teal {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN];  // inet_pton wants a terminated string
  // inet_pton would ignore the text after an embedded NUL.
  if (text.size() >= sizeof(buffer) || text.find('\0') != std::string_view::npos) return std::nullopt;
  *std::copy(text.begin(), text.end(), buffer) = '\0';

  uint8_t wire[16];
  if (inet_pton(AF_INET, buffer, wire) == 1) return from_v4(wire);
  if (inet_pton(AF_INET6, buffer, wire) == 1) return from_v6(wire);
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  const bool v4 = is_v4();
  // inet_ntop cannot fail: the family is known and the buffer holds the longest form.
  return inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? v4_bytes() : bytes, buffer, sizeof(buffer));
}

bool same_prefix(const IpAddress& a, const IpAddress& b, unsigned prefix_bits) {
  const unsigned bits = std::min(prefix_bits, 128u);
  const unsigned whole = bits / 8;
  if (std::memcmp(a.bytes, b.bytes, whole) != 0) return false;
  const unsigned rest = bits % 8;
  return rest == 0 || ((a.bytes[whole] ^ b.bytes[whole]) >> (8 - rest)) == 0;
}

namespace {

// Parses 1..65535 in plain digits. A leading zero is refused, as inet_pton refuses it in an address.
std::optional<Be16> parse_port(std::string_view text) {
  if (text.empty() || text.front() < '1' || text.front() > '9') return std::nullopt;
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Be16::from_host(port);
}

}  // namespace

std::optional<Socket> parse_socket(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  // "fd18::10:80" is ambiguous, so IPv6 needs brackets (RFC 3986, 3.2.2). IPv4 must not have them.
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;

  const auto address = IpAddress::parse(host);
  const auto port = parse_port(text.substr(colon + 1));
  if (!address || !port) return std::nullopt;
  return Socket{.address = *address, .port = *port};
}

std::string to_string(const Socket& socket) {
  const std::string host = socket.address.to_string();
  const std::string port = std::to_string(socket.port.host());
  return socket.address.is_v4() ? host + ":" + port : "[" + host + "]:" + port;
}

}  // namespace teal
