// SPDX-License-Identifier: Apache-2.0
//
// The bars that `teal status --watch` draws below its page. For each service, one bar shows how the new flows
// since the last refresh were divided between the colours, and another one shows how much of a drain is done.
// teald does not say how many flows there were at the flip, so a drain is measured from the highest number
// that was seen since.
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

  // The lines for `services`, which are from the answer to GET /v1/services at the time `now`.
  std::string text(const nlohmann::json& services, Time now, const Surroundings& around);

 private:
  struct Seen {
    std::array<uint64_t, 2> begun = {};  // blue, green
    uint64_t flip = 0;                   // the generation of the latest flip
    uint64_t most = 0;                   // the highest number of flows left since that flip
  };
  std::map<std::string, Seen> seen_;
  Time last_;
};

// A bar of `width` columns. The part `share` (0 to 1) is drawn in the first style, the rest in the second.
std::string bar(double share, size_t width, Style first, Style second, const Surroundings& around);

}  // namespace teal::cli
