// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "control/change/refusal.h"

namespace teal {

struct Request {
  std::string method;                                      // HEAD is passed on as GET
  std::string path;                                        // decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in the order of the request
  std::string body;
  std::optional<std::string> last_event_id;  // the header Last-Event-ID
  std::optional<std::string> login_uid;      // the header Teal-Login-Uid: what the client says
  std::optional<uint32_t> uid;               // the peer's, from the kernel (SO_PEERCRED); nullopt over TCP
  bool is_of_operator = false;               // it came by a server that accepts changes
  // Returns whether the client has closed its connection, so that nobody reads the answer. Over a unix socket
  // only.
  std::function<bool()> client_is_gone = [] { return false; };
};

// Called for a request that is refused for its header alone, with the peer's uid, "METHOD TARGET" and the
// answer.
using OnRefused =
    std::function<void(const std::optional<uint32_t>& uid, const std::string& what, const Refusal&)>;

// Splits and decodes a request target such as "/v1/flows?service=a&backend=%5Bfd18%3A%3A1%5D%3A80". Refuses
// invalid escapes and targets without a path. OPTIONS also accepts "*" (RFC 9110, 9.3.7).
tl::expected<void, Refusal> parse_request_target(std::string_view text, Request& out);

// Returns whether a Host header ("localhost:9100") has a loopback address or the name localhost. This check
// stops DNS rebinding: a page in a browser can reach a loopback listener through its own domain name if that
// name resolves to 127.0.0.1, but its Host header then has that name.
bool is_loopback_host(std::string_view host);

}  // namespace teal
