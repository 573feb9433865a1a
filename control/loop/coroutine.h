// SPDX-License-Identifier: Apache-2.0
//
// teald runs its coroutines on one thread, the thread of the io_context. Only the work that is given to
// run_on() runs elsewhere.
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

#include <optional>
#include <type_traits>

namespace teal {

namespace asio = boost::asio;

template <typename T>
using Task = asio::awaitable<T>;

// Returns after everything else that is ready has run.
inline Task<void> yield_to_loop() {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
}

// Runs `work` on the pool and returns its result on this thread. The pool must be joined before the
// io_context is destroyed.
template <typename Work>
Task<std::invoke_result_t<Work&>> run_on(asio::thread_pool& pool, Work work) {
  const auto home = co_await asio::this_coro::executor;
  std::optional<std::invoke_result_t<Work&>> result;
  const auto initiate = [&](auto&& handler) {
    asio::post(pool, [&work, &result, home, handler = std::forward<decltype(handler)>(handler)]() mutable {
      result.emplace(work());
      asio::post(home, std::move(handler));
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(initiate, asio::use_awaitable);
  co_return std::move(*result);
}

}  // namespace teal
