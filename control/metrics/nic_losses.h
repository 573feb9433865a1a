// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>

#include "control/loop/clock.h"
#include "control/publish/publisher.h"

namespace teal {

// How many packets the NIC of each port lost within the last minute.
class NicLosses {
 public:
  // To be called about once a second. Losses before the first sample do not count.
  void sample(const Publisher& publisher, Clock::Time now);
  uint64_t of_last_minute(const std::string& port) const;

 private:
  struct Sample {
    Clock::Time at;
    uint64_t lost;  // since teal-dataplane started
  };
  std::unordered_map<std::string, std::deque<Sample>> ports_;  // by name, oldest first
};

}  // namespace teal
