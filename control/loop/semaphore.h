// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/loop/coroutine.h"

#include <cstdint>
#include <deque>
#include <utility>

namespace teal {

// A semaphore among the coroutines of one thread: first come, first served, apart from those that go first.
// With one permit it is a mutex.
class Semaphore {
 public:
  explicit Semaphore(uint32_t permits) : free_(permits) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  // Gives the permit back when it is destroyed.
  class Permit {
   public:
    explicit Permit(Semaphore* semaphore) : semaphore_(semaphore) {}
    Permit(Permit&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
    Permit& operator=(Permit&&) = delete;
    ~Permit() {
      if (semaphore_ != nullptr) semaphore_->release();
    }

   private:
    Semaphore* semaphore_;
  };

  enum class Place : uint8_t { kLast, kFirst };

  Task<Permit> acquire(Place place = Place::kLast) {
    if (free_ == 0) {
      asio::steady_timer turn(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
      if (place == Place::kFirst)
        waiting_.insert(waiting_.begin() + firsts_++, &turn);
      else
        waiting_.push_back(&turn);
      boost::system::error_code cancelled;  // by release(), which passes its permit on
      co_await turn.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    } else {
      --free_;
    }
    co_return Permit(this);
  }

  // To be called before the io_context is destroyed with coroutines still in it. After that, nobody is woken.
  void abandon() {
    abandoned_ = true;
    waiting_.clear();
  }

 private:
  void release() {
    if (abandoned_) return;
    if (waiting_.empty()) {
      ++free_;
      return;
    }
    waiting_.front()->cancel();
    waiting_.pop_front();
    if (firsts_ > 0) --firsts_;
  }

  uint32_t free_;
  std::deque<asio::steady_timer*> waiting_;
  ptrdiff_t firsts_ = 0;  // of these, at the front
  bool abandoned_ = false;
};

}  // namespace teal
