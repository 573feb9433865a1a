// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "control/loop/clock.h"
#include "control/loop/coroutine.h"

namespace teal {

// The names of users. A lookup may ask a directory over the network, so nothing waits for one but the name
// itself.
class UserNames {
 public:
  // The pool must be joined before the io_context of the callers is destroyed.
  explicit UserNames(asio::thread_pool& lookups) : lookups_(lookups) {}

  // Returns the name that the latest lookup found; "": no lookup found one.
  std::string known(uint32_t uid) const;
  Task<std::string> look_up(uint32_t uid);

  // Returns whether a lookup has ended. Then known() has what it found.
  bool is_looked_up(uint32_t uid) const { return names_.contains(uid); }
  // Returns the name. The first call for a user waits for the lookup, for at most a second; "": no name is
  // known by then.
  Task<std::string> soon(uint32_t uid, const Clock& clock);

 private:
  asio::thread_pool& lookups_;
  std::unordered_map<uint32_t, std::string> names_;
  std::unordered_set<uint32_t> awaited_;  // soon() has begun a lookup
};

}  // namespace teal
