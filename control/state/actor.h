// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace teal {

// The user or program that makes a change.
struct Actor {
  enum class Kind : uint8_t {
    kUser,   // the user of the process that asked
    kLogin,  // the user who logged in, as a process of root says: the person behind sudo
    kTeald,  // nobody asked
  };

  uint32_t uid = 0;
  std::string user;  // the name; "": not known
  Kind kind = Kind::kUser;

  static Actor teald() { return {0, "teald", Kind::kTeald}; }
  bool is_teald() const { return kind == Kind::kTeald; }
  bool by_root() const { return kind == Kind::kLogin; }
};

// "alice", "alice (as root)", "teald"; "user 59990" if the user has no name, or the name is not known yet.
std::string text_of(const Actor& actor);

}  // namespace teal
