// SPDX-License-Identifier: Apache-2.0
//
// What `teal status --watch` draws below its page: for each service, how the new flows since the last refresh
// were shared out between the colours, and how far a drain is. A drain is measured by the most flows that
// were seen since its flip, as nobody else remembers how many there were.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include <nlohmann/json_fwd.hpp>

#include "control/cli/invocation/verb.h"
#include "control/cli/terminal/table.h"

namespace teal::cli {

class Bars {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `services` as GET /v1/services has them, at this time.
  std::string text(const nlohmann::json& services, Time now, const Surroundings& around);

 private:
  struct Seen {
    std::array<uint64_t, 2> begun = {};  // blue, green
    uint64_t flip = 0;                   // the generation of the flip that `most` is of
    uint64_t most = 0;                   // flows left, at most, since that flip
  };
  std::map<std::string, Seen> seen_;
  Time last_;
};

// `share` of `width` columns in the one kind, the rest in the other.
std::string bar(double share, size_t width, Style first, Style second, const Surroundings& around);

}  // namespace teal::cli
