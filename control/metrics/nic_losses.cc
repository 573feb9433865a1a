// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/nic_losses.h"

#include "control/metrics/ports.h"

namespace teal {

void NicLosses::sample(const Publisher& publisher, Clock::Time now) {
  std::unordered_map<std::string, LossWindow> before = std::move(ports_);
  ports_.clear();
  for_each_port(publisher, [&](const PortRow& row) {
    uint64_t lost = 0;
    for (const NicCounter loss : kNicLosses) lost += counter_of(row, loss);
    LossWindow& window = ports_[row.name];
    window = std::move(before[row.name]);
    window.add(now, lost);
  });
}

uint64_t NicLosses::of_last_minute(const std::string& port) const {
  const auto known = ports_.find(port);
  return known == ports_.end() ? 0 : known->second.of_last_minute();
}

}  // namespace teal
