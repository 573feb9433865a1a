// SPDX-License-Identifier: Apache-2.0
//
// What the steering program is to know, and when it is told (bpf/steer_maps.h): all of a new ruleset before
// it is published, and nothing of the old one taken away before every worker has let go of it.
#pragma once

#include <string>
#include <vector>

#include "bpf/steer_maps.h"
#include "control/state/inventory.h"

namespace teal {

class Steering {
 public:
  explicit Steering(std::string pin_dir) : pin_dir_(std::move(pin_dir)) {}

  // What there shall be. Retired services and backends are among it: their flows still need the workers.
  void want(const Inventory& inventory);
  [[nodiscard]] bool want_local(const std::vector<IpAddress>& addresses);  // did they change?

  // Adds what is missing; cleanup is due from then on. Called without a change, it brings the maps in line
  // all the same: somebody may have unpinned them. Errors are logged and the next call tries again.
  void add();
  bool cleanup_due() const { return cleanup_due_; }
  // After a grace period.
  void clean_up();

 private:
  void report(const std::string& error);

  std::string pin_dir_;
  SteerSet wanted_;
  bool cleanup_due_ = false;
  std::string reported_;  // the error that the log has already
};

}  // namespace teal
