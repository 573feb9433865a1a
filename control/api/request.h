// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "control/refusal.h"

namespace teal {

struct Request {
  std::string method;
  std::string path;                                        // decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in the order given
  std::string body;
  uint32_t uid = 0;  // of the peer, as the kernel says (SO_PEERCRED)
};

struct Response {
  unsigned status = 200;
  std::string body;   // JSON
  std::string allow;  // with 405: the methods there are
};

// Splits and decodes "/v1/flows?service=a&backend=%5Bfd18%3A%3A1%5D%3A80"; refuses a broken escape and what
// is no path.
tl::expected<void, Refusal> parse_request_target(std::string_view text, Request& out);

}  // namespace teal
