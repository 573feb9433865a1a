// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "control/loop/clock.h"
#include "control/loop/coroutine.h"

namespace teal {

// Asks the name service of this host (NSS). Returns "" if it knows no name.
std::string name_of_user(uint32_t uid);

// The names of users. A lookup may ask a directory over the network, so nothing waits for one but the name
// itself.
class UserNames {
 public:
  // Returns the name of a user, "" if it is not known. May take long, and is called on a thread of the pool.
  using Lookup = std::function<std::string(uint32_t uid)>;

  // The pool must be joined before the io_context of the callers is destroyed.
  explicit UserNames(asio::thread_pool& lookups, Lookup lookup = name_of_user)
      : lookups_(lookups), lookup_(std::move(lookup)) {}

  // Returns the name that the latest lookup found; "": no lookup found one.
  std::string known(uint32_t uid) const;
  // Asks the name service, unless it is being asked about this user already. Returns the name.
  Task<std::string> look_up(uint32_t uid);
  bool is_looking_up() const { return !under_way_.empty(); }

  // Returns whether a lookup has ended. Then known() has what it found.
  bool is_looked_up(uint32_t uid) const { return names_.contains(uid); }
  // Returns the name. The first call for a user waits for the lookup, for at most a second; "": no name is
  // known by then.
  Task<std::string> soon(uint32_t uid, const Clock& clock);

 private:
  asio::thread_pool& lookups_;
  const Lookup lookup_;
  std::unordered_map<uint32_t, std::string> names_;
  // The lookups under way, with a timer that their end cancels. The lookups own the timers, as the io_context
  // of the callers ends before this.
  std::unordered_map<uint32_t, std::weak_ptr<asio::steady_timer>> under_way_;
  std::unordered_set<uint32_t> awaited_;  // soon() has begun a lookup
};

}  // namespace teal
