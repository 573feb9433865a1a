// SPDX-License-Identifier: Apache-2.0
//
// Lets a few in at a time, first come, first served. Answers that take a scan of the flow table, or
// megabytes, are made behind it: 100 at once would take 100 times the memory and not be ready sooner.
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "control/loop/coroutine.h"

namespace teal {

class Gate {
 public:
  explicit Gate(uint32_t places) : free_(places) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  class Pass {
   public:
    explicit Pass(Gate* gate) : gate_(gate) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->leave();
    }

   private:
    Gate* gate_;
  };

  Task<Pass> enter() {
    if (free_ == 0) {
      const auto turn = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor,
                                                             asio::steady_timer::time_point::max());
      waiting_.push_back(turn);
      boost::system::error_code told;  // by leave(), which hands its place on
      co_await turn->async_wait(asio::redirect_error(asio::use_awaitable, told));
    } else {
      --free_;
    }
    co_return Pass(this);
  }

  // Before the io_context is destroyed with coroutines still in here.
  void abandon() { abandoned_ = true; }

 private:
  void leave() {
    if (abandoned_) return;
    if (waiting_.empty()) {
      ++free_;
      return;
    }
    waiting_.front()->cancel();
    waiting_.pop_front();
  }

  uint32_t free_;
  std::deque<std::shared_ptr<asio::steady_timer>> waiting_;
  bool abandoned_ = false;
};

}  // namespace teal
