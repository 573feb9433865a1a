// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace teal {

// Allows so many acts in each tick of 10 ms.
class TickBudget {
 public:
  explicit TickBudget(uint32_t per_tick) : per_tick_(per_tick) {}

  // Returns false if the tick's acts are used up.
  bool take(uint32_t now_tick) {
    if (now_tick != tick_) {
      tick_ = now_tick;
      left_ = per_tick_;
    }
    if (left_ == 0) return false;
    --left_;
    return true;
  }

 private:
  const uint32_t per_tick_;
  uint32_t tick_ = 0, left_ = 0;
};

}  // namespace teal
