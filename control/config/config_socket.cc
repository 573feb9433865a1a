// SPDX-License-Identifier: Apache-2.0
#include "control/config/config_socket.h"

#include <algorithm>

namespace teal {

namespace {

// "198.18.2.11:8080/tcp"
std::string shown(const Socket& socket) {
  return to_string(socket) + (socket.protocol == kProtocolUdp ? "/udp" : "/tcp");
}

bool is_loopback(const IpAddress& address) {
  static const IpAddress kIpv6Loopback = *IpAddress::parse("::1");
  return address.is_v4() ? address.v4_bytes()[0] == 127 : address == kIpv6Loopback;
}

// Returns why no traffic can go to the address; nullopt if it can.
std::optional<std::string_view> unusable_reason(const IpAddress& address) {
  if (is_loopback(address)) return "a loopback address";
  if (address.is_v4()) {
    const uint8_t* bytes = address.v4_bytes();
    if (bytes[0] == 0) return "an unspecified address";  // RFC 1122, 3.2.1.3: 0.0.0.0/8 is "this network"
    if (bytes[0] >= 224 && bytes[0] < 240) return "a multicast address";
    if (std::all_of(bytes, bytes + 4, [](uint8_t byte) { return byte == 255; }))
      return "the broadcast address";
    return std::nullopt;
  }
  const uint8_t* bytes = address.bytes;
  if (bytes[0] == 0xff) return "a multicast address";
  if (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80)
    return "a link-local address";  // ambiguous without a link
  if (address == IpAddress{}) return "an unspecified address";
  return std::nullopt;
}

// Returns what is wrong with a text that parse_socket() has refused.
std::string wrong_part(std::string_view text) {
  const auto complaint = [&](const std::string& what) { return in_quotes(text) + " " + what; };
  const size_t colon = text.rfind(':');
  // An address alone, such as "198.18.0.10" or "fd18::10".
  if (IpAddress::parse(text)) return complaint("has no port");
  if (text.size() > 1 && text.front() == '[' && text.back() == ']') return complaint("has no port");
  if (colon == std::string_view::npos) return complaint("is not an address and port");

  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.size() > 1 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  if (!address) return complaint("has the invalid address " + in_quotes(host));
  const bool has_colon = host.find(':') != std::string_view::npos;
  if (has_colon && !bracketed) return complaint("has an IPv6 address without brackets");
  if (!has_colon && bracketed) return complaint("has an IPv4 address in brackets");
  return complaint("has the invalid port " + in_quotes(port) + " (1 to 65535)");
}

std::optional<Socket> read_any_socket(const ConfigNode& node, const std::string& expected) {
  const auto text = node.text(expected);
  if (!text) return std::nullopt;
  const auto socket = parse_socket(*text);
  if (!socket) node.error(wrong_part(*text) + ", expected " + expected);
  return socket;
}

}  // namespace

std::optional<Socket> read_socket(const ConfigNode& node) {
  const auto socket = read_any_socket(node, kSocketForm);
  if (!socket) return std::nullopt;
  if (const auto reason = unusable_reason(socket->address)) {
    node.error(in_quotes(to_string(*socket)) + " has " + std::string(*reason) +
               ", expected the unicast address of a host");
    return std::nullopt;
  }
  return socket;
}

std::optional<Socket> read_loopback_socket(const ConfigNode& node) {
  constexpr char kForm[] = "a loopback address and port such as \"127.0.0.1:9100\" or \"[::1]:9100\"";
  const auto socket = read_any_socket(node, kForm);
  if (!socket) return std::nullopt;
  if (!is_loopback(socket->address)) {
    node.error(in_quotes(to_string(*socket)) + " is not a loopback address, expected " + kForm);
    return std::nullopt;
  }
  return socket;
}

void SocketOwners::claim_vip(const ConfigNode& node, const Socket& vip, uint32_t service,
                             std::string_view name) {
  claim_address(node, "VIP", vip, service, name);
}

void SocketOwners::claim_preview(const ConfigNode& node, const Socket& preview, uint32_t service,
                                 std::string_view name) {
  claim_address(node, "preview address", preview, service, name);
}

void SocketOwners::claim_address(const ConfigNode& node, const char* what, const Socket& socket,
                                 uint32_t service, std::string_view name) {
  const auto [at, is_new] = vips_.try_emplace(socket, Claim{node, what, service, std::string(name)});
  if (is_new) return;
  const Claim& first = at->second;
  node.error(shown(socket) + " is also the " + first.what + " of service " + in_quotes(first.name) +
             " (line " + std::to_string(first.node.line()) +
             "), expected a different address, port or protocol for each VIP and preview address");
}

void SocketOwners::claim_backend(const ConfigNode& node, const Socket& socket, uint32_t service,
                                 std::string_view name) {
  const auto [at, is_new] = backends_.try_emplace(socket, Claim{node, "backend", service, std::string(name)});
  const Claim& first = at->second;
  if (is_new || first.service == service) return;
  node.error(shown(socket) + " of service " + in_quotes(name) + " is also a backend of service " +
             in_quotes(first.name) + " (line " + std::to_string(first.node.line()) +
             "), expected a socket of one service only: the source of a reply names the service");
}

void SocketOwners::report_vips_among_backends() const {
  for (const auto& [socket, backend] : backends_) {
    const auto vip = vips_.find(socket);
    if (vip == vips_.end()) continue;
    backend.node.error(shown(socket) + " is the " + vip->second.what + " of service " +
                       in_quotes(vip->second.name) + " (line " + std::to_string(vip->second.node.line()) +
                       "), expected the socket of a backend server");
  }
}

}  // namespace teal
