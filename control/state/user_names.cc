// SPDX-License-Identifier: Apache-2.0
#include "control/state/user_names.h"

#include <pwd.h>

#include <boost/asio/co_spawn.hpp>

namespace teal {

namespace {

std::string name_of_user(uint32_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) != 0 || found == nullptr) return "";
  return found->pw_name;
}

}  // namespace

std::string UserNames::known(uint32_t uid) const {
  const auto name = names_.find(uid);
  return name == names_.end() ? "" : name->second;
}

Task<std::string> UserNames::look_up(uint32_t uid) {
  auto work = [uid] { return name_of_user(uid); };
  std::string name = co_await run_on(lookups_, std::move(work));
  names_[uid] = name;
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
