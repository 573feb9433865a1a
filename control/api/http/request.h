// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "control/change/refusal.h"

namespace teal {

struct Request {
  std::string method;                                      // HEAD comes as GET
  std::string path;                                        // decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in the order given
  std::string body;
  std::optional<std::string> last_event_id;  // the header Last-Event-ID
  std::optional<uint32_t> uid;               // of the peer, as the kernel says (SO_PEERCRED); none over TCP
};

// Splits and decodes "/v1/flows?service=a&backend=%5Bfd18%3A%3A1%5D%3A80"; refuses a broken escape and what
// is no path. "*" is one for OPTIONS (RFC 9110, 9.3.7).
tl::expected<void, Refusal> parse_request_target(std::string_view text, Request& out);

// Does a Host header ("localhost:9100") name this machine by a loopback address or as localhost? A page in a
// browser reaches a loopback listener by a name of its own that resolves to 127.0.0.1 (DNS rebinding); its
// Host header has that name.
bool is_loopback_host(std::string_view host);

}  // namespace teal
