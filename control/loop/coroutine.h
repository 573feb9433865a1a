// SPDX-License-Identifier: Apache-2.0
//
// teald is one thread: everything here runs on the thread of the io_context, except for what run_on() is
// given.
#pragma once

#include <utility>  // before asio: Boost 1.74 uses std::exchange without it

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <deque>
#include <optional>
#include <type_traits>

namespace teal {

namespace asio = boost::asio;

template <typename T>
using Task = asio::awaitable<T>;

// Lets everything else that is ready run first.
inline Task<void> yield_to_loop() {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
}

inline Task<void> sleep_for(std::chrono::steady_clock::duration duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  boost::system::error_code cancelled;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
}

// Runs `work` on the pool and comes back to this thread with its result. The pool is joined before the
// io_context goes.
template <typename Work>
Task<std::invoke_result_t<Work&>> run_on(asio::thread_pool& pool, Work work) {
  const auto home = co_await asio::this_coro::executor;
  std::optional<std::invoke_result_t<Work&>> result;
  const auto initiate = [&](auto&& handler) {
    asio::post(pool, [&work, &result, home, handler = std::move(handler)]() mutable {
      result.emplace(work());
      asio::post(home, std::move(handler));
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(initiate, asio::use_awaitable);
  co_return std::move(*result);
}

// First come, first served, among the coroutines of one thread.
class AsyncMutex {
 public:
  class Guard {
   public:
    explicit Guard(AsyncMutex* mutex) : mutex_(mutex) {}
    Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (mutex_ != nullptr) mutex_->unlock();
    }

   private:
    AsyncMutex* mutex_;
  };

  Task<Guard> lock() {
    if (held_) {
      asio::steady_timer turn(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
      waiting_.push_back(&turn);
      boost::system::error_code cancelled;  // by unlock(), which leaves the mutex held for us
      co_await turn.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    held_ = true;
    co_return Guard(this);
  }

  // Before the io_context is destroyed with coroutines still in it: nobody is woken any more.
  void abandon() {
    abandoned_ = true;
    waiting_.clear();
  }

 private:
  void unlock() {
    if (abandoned_) return;
    if (waiting_.empty()) {
      held_ = false;
      return;
    }
    waiting_.front()->cancel();
    waiting_.pop_front();
  }

  std::deque<asio::steady_timer*> waiting_;
  bool held_ = false;
  bool abandoned_ = false;
};

}  // namespace teal
