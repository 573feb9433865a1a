// SPDX-License-Identifier: Apache-2.0
#include "control/state/user_names.h"

#include <pwd.h>

#include <boost/asio/co_spawn.hpp>

namespace teal {

std::string name_of_user(uint32_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) != 0 || found == nullptr) return "";
  return found->pw_name;
}

std::string UserNames::known(uint32_t uid) const {
  const auto name = names_.find(uid);
  return name == names_.end() ? "" : name->second;
}

Task<std::string> UserNames::look_up(uint32_t uid) {
  const auto under_way = under_way_.find(uid);
  if (under_way != under_way_.end()) {
    const std::shared_ptr<asio::steady_timer> end = under_way->second.lock();
    boost::system::error_code cancelled;
    if (end != nullptr) co_await end->async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    co_return known(uid);
  }
  const auto executor = co_await asio::this_coro::executor;
  const auto end = std::make_shared<asio::steady_timer>(executor, asio::steady_timer::time_point::max());
  under_way_[uid] = end;
  auto work = [this, uid] { return lookup_(uid); };
  std::string name = co_await run_on(lookups_, std::move(work));
  names_[uid] = name;
  under_way_.erase(uid);
  end->cancel();
  co_return name;
}

Task<std::string> UserNames::soon(uint32_t uid, const Clock& clock) {
  constexpr std::chrono::milliseconds kPatience(1000), kPause(2);
  const Clock::Time until = clock.now() + kPatience;
  if (!is_looked_up(uid) && awaited_.insert(uid).second) {
    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, look_up(uid), [](const std::exception_ptr&, const std::string&) {});
  }
  while (!is_looked_up(uid) && clock.now() < until) co_await clock.sleep(kPause);
  co_return known(uid);
}

}  // namespace teal
