// SPDX-License-Identifier: Apache-2.0
#include "control/loop/events.h"

#include <algorithm>

#include "control/loop/wall_clock.h"

namespace teal {

void Events::tell(std::string type, nlohmann::ordered_json fields) {
  nlohmann::ordered_json data = {{"at", rfc3339(wall_clock_ms())}};
  data.update(fields);
  // A reason is text that a client sent, so it may hold bytes that are not UTF-8.
  kept_.push_back({next_id_++, std::move(type),
                   data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)});
  if (kept_.size() > kKept) kept_.pop_front();
  for (const auto& listener : listeners_) listener(kept_.back());
  for (asio::steady_timer* waiting : waiting_) waiting->cancel();
  waiting_.clear();
}

Task<std::vector<ToldEvent>> Events::after(uint64_t id, std::chrono::steady_clock::duration patience) {
  if (latest() <= id) {
    asio::steady_timer timer(co_await asio::this_coro::executor, patience);
    waiting_.push_back(&timer);
    boost::system::error_code told;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, told));
    std::erase(waiting_, &timer);
  }
  const auto first =
      std::find_if(kept_.begin(), kept_.end(), [&](const ToldEvent& event) { return event.id > id; });
  co_return std::vector<ToldEvent>(first, kept_.end());
}

}  // namespace teal
