// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/request.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include <fmt/format.h>

#include "dataplane/packet/ip_address.h"

namespace teal {

namespace {

constexpr std::string_view kLocalhost = "localhost";

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

// Decodes %XX (RFC 3986, 2.1). In a query "+" is a space, as in HTML forms.
std::optional<std::string> decode(std::string_view text, bool in_query) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    } else {
      out.push_back(in_query && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

}  // namespace

tl::expected<void, Refusal> parse_request_target(std::string_view text, Request& out) {
  const auto broken = [&] {
    return tl::unexpected(
        Refusal::bad_request(fmt::format("invalid request target \"{}\"", text.substr(0, 200))));
  };
  if (text == "*" && out.method == "OPTIONS") {
    out.path.push_back('*');
    return {};
  }
  const size_t mark = text.find('?');
  const std::optional<std::string> path = decode(text.substr(0, mark), false);
  if (!path || path->empty() || path->front() != '/') return broken();
  out.path = *path;
  if (mark == std::string_view::npos) return {};
  std::string_view rest = text.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    const std::optional<std::string> name = decode(pair.substr(0, equals), true);
    const std::optional<std::string> value =
        equals == std::string_view::npos ? std::string() : decode(pair.substr(equals + 1), true);
    if (!name || !value) return broken();
    out.query.emplace_back(*name, *value);
  }
  return {};
}

bool is_loopback_host(std::string_view host) {
  const size_t colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
  std::string_view name = has_port ? host.substr(0, colon) : host;
  if (has_port) {
    const std::string_view port = host.substr(colon + 1);
    if (port.empty() || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  }
  if (std::equal(name.begin(), name.end(), kLocalhost.begin(), kLocalhost.end(), [](char given, char meant) {
        return std::tolower(static_cast<unsigned char>(given)) == meant;
      }))
    return true;
  const bool bracketed = name.size() > 2 && name.front() == '[' && name.back() == ']';
  if (bracketed) name = name.substr(1, name.size() - 2);
  const std::optional<IpAddress> address = IpAddress::parse(name);
  if (!address || address->is_v4() == bracketed) return false;
  return address->is_v4() ? address->v4_bytes()[0] == 127 : *address == *IpAddress::parse("::1");
}

}  // namespace teal
