// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/nic_losses.h"

#include "control/metrics/ports.h"

namespace teal {

void NicLosses::sample(const Publisher& publisher, Clock::Time now) {
  constexpr std::chrono::minutes kWindow(1);
  std::unordered_map<std::string, std::deque<Sample>> before = std::move(ports_);
  ports_.clear();
  for_each_port(publisher, [&](const PortRow& row) {
    uint64_t lost = 0;
    for (const NicCounter loss : kNicLosses) lost += counter_of(row, loss);
    std::deque<Sample>& samples = ports_[row.name];
    samples = std::move(before[row.name]);
    if (!samples.empty() && samples.back().lost > lost) samples.clear();  // another teal-dataplane
    samples.push_back({now, lost});
    while (samples.size() > 1 && samples.front().at + kWindow < now) samples.pop_front();
  });
}

uint64_t NicLosses::of_last_minute(const std::string& port) const {
  const auto known = ports_.find(port);
  return known == ports_.end() ? 0 : known->second.back().lost - known->second.front().lost;
}

}  // namespace teal
