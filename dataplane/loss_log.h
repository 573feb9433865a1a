// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "dataplane/shm/port_row.h"

namespace teal {

// Decides when the log tells of packets that a port's NIC lost: at once, then at most once a minute. No loss
// is left out: a line counts what was lost since the line before.
class LossLog {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Losses = std::array<uint64_t, kNicLosses.size()>;  // in the order of kNicLosses

  static constexpr std::chrono::minutes kPause{1};

  // `losses` count since the port was opened. Returns the text of the line; "": there is nothing to tell now.
  std::string look(const Losses& losses, Time now) {
    if (losses == told_ || now < next_) return "";
    uint64_t sum = 0;
    std::string parts;
    for (size_t i = 0; i < losses.size(); ++i) {
      const uint64_t lost = losses[i] - std::min(told_[i], losses[i]);
      if (lost == 0) continue;
      sum += lost;
      parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", lost, name_of(kNicLosses[i]));
    }
    told_ = losses;
    if (sum == 0) return "";  // the driver has set its counters to 0
    next_ = now + kPause;
    return fmt::format("the NIC lost {} packet{}: {}", sum, sum == 1 ? "" : "s", parts);
  }

 private:
  Losses told_{};
  Time next_{};
};

}  // namespace teal
