// SPDX-License-Identifier: Apache-2.0
#include "control/state/actor.h"

namespace teal {

std::string text_of(const Actor& actor) {
  const std::string unnamed = actor.uid == 0 ? "root" : "user " + std::to_string(actor.uid);
  const std::string& name = actor.user.empty() ? unnamed : actor.user;
  return actor.by_root() ? name + " (as root)" : name;
}

}  // namespace teal
