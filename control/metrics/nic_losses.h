// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "control/metrics/loss_window.h"
#include "control/publish/publisher.h"

namespace teal {

// How many packets the NIC of each port lost within the last minute.
class NicLosses {
 public:
  // To be called about once a second. Losses before the first sample do not count.
  void sample(const Publisher& publisher, Clock::Time now);
  uint64_t of_last_minute(const std::string& port) const;

 private:
  std::unordered_map<std::string, LossWindow> ports_;  // by name
};

}  // namespace teal
