// SPDX-License-Identifier: Apache-2.0
#include "control/loop/wall_clock.h"

#include <ctime>

#include <fmt/format.h>

namespace teal {

std::string rfc3339(int64_t at_ms) {
  const auto seconds = static_cast<time_t>(at_ms / 1000);
  tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, at_ms % 1000);
}

}  // namespace teal
