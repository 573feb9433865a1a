// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/health/health_board.h"
#include "control/state/inventory.h"
#include "tests/unit/control/config/configs.h"

namespace teal {

// The shop (configs.h), with checks for service-a (ids 0 and 1 are blue, 2 is green) and service-c (blue and
// green). service-b has none.
inline Config checked_shop() {
  Config config = shop_config();
  config.services[0].check = HealthCheck();
  config.services[2].check = HealthCheck();
  config.services[2].check->kind = CheckKind::kHttp;
  return config;
}

// The time is what a test sets.
class BoardClock : public Clock {
 public:
  Time now() const override { return now_; }
  int64_t wall_ms() const override {
    return 1'700'000'000'000 + (now_ - Time()) / std::chrono::milliseconds(1);
  }
  void pass(Time::duration span) { now_ += span; }

 private:
  Time now_ = Time(std::chrono::hours(1));
};

class CheckedShop {
 public:
  explicit CheckedShop(Config config = checked_shop())
      : catalogue(config, renumber({}, config)->inventory), board(clock) {
    board.follow(catalogue);
  }

  uint16_t id(const std::string& address) const {
    for (const CheckOrder& order : board.list().checks)
      if (to_string(order.address) == address) return order.backend;
    return kNoId;
  }
  bool report(const std::string& address, bool up, const std::string& reason = "") {
    return board.take({.revision = board.list().revision,
                       .backend = id(address),
                       .up = up,
                       .passed = up,
                       .reason = reason,
                       .at_ms = clock.wall_ms()});
  }
  const BackendHealth& of(const std::string& address) const { return *board.of(id(address)); }

  BoardClock clock;
  Catalogue catalogue;
  HealthBoard board;
};

}  // namespace teal
