// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "control/change/refusal.h"
#include "control/loop/clock.h"
#include "control/state/actor.h"
#include "control/state/user_names.h"

namespace teal {

// Logs attempts that were refused. A client may try a thousand times a second, so of each code only the first
// attempts within a window are logged, and then the number of the others.
class RefusalLog {
 public:
  static constexpr uint32_t kLogged = 10;  // attempts of a code in a window
  static constexpr auto kWindow = std::chrono::seconds(10);

  RefusalLog(UserNames& users, const Clock& clock) : users_(users), clock_(clock) {}

  // `what` is the verb, or the method and target of a request that is none. `actor`: nothing if the socket
  // does not say who asks.
  void note(const std::optional<Actor>& actor, std::string_view what, const std::string& reason,
            const Refusal& refusal);
  // The same, once the name of the user is known, or after a second.
  Task<void> note_with_name(Actor actor, std::string what, std::string reason, Refusal refusal);
  bool knows_name_of(const Actor& actor) const { return users_.is_looked_up(actor.uid); }
  // Logs what is left of windows that are over. To be called about once a second.
  void end_windows();

 private:
  struct Window {
    Clock::Time until;
    uint32_t attempts = 0;
  };

  UserNames& users_;
  const Clock& clock_;
  std::map<std::string, Window, std::less<>> windows_;  // by code
};

}  // namespace teal
