// SPDX-License-Identifier: Apache-2.0
//
// Keeps the maps of the steering program (bpf/steer_maps.h) in step with the ruleset. Entries of a new
// ruleset are added before its publication. Entries of the old ruleset are removed after the grace period,
// when no worker uses it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bpf/steer_maps.h"
#include "control/state/inventory.h"

namespace teal {

class Steering {
 public:
  explicit Steering(std::string pin_dir) : pin_dir_(std::move(pin_dir)) {}

  // Sets the wanted VIPs, preview addresses and backends. Retired ones are included: their flows still need
  // the workers.
  void want(const Inventory& inventory);
  // Sets the wanted local addresses. Returns whether they have changed.
  [[nodiscard]] bool want_local(const std::vector<IpAddress>& addresses);

  // Adds missing entries to the maps, and makes a cleanup due. A call without a change repairs maps that
  // another program has unpinned. Errors are logged, and the next call tries again.
  void add();
  bool cleanup_due() const { return cleanup_due_; }
  // Removes unwanted entries. Call it after a grace period.
  void clean_up();

  // Returns what the steering program has counted; nothing if its maps cannot be read.
  std::optional<SteerCounters> counters() const;

 private:
  void report(const std::string& error);

  std::string pin_dir_;
  SteerSet wanted_;
  bool cleanup_due_ = false;
  std::string reported_;  // the last error in the log
};

}  // namespace teal
