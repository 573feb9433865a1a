// SPDX-License-Identifier: Apache-2.0
#include "control/api/request.h"

#include <optional>

#include <fmt/format.h>

namespace teal {

namespace {

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

// RFC 3986, 2.1; in a query "+" is a space (as forms are sent).
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
        Refusal::bad_request(fmt::format("cannot read the request target \"{}\"", text.substr(0, 200))));
  };
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

}  // namespace teal
